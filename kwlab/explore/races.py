"""The data race detector: two accesses to one field, at least one a write, that nothing puts in order.

What puts them in order ("happens before"), and is all that counts here:

* a spinlock: its release before the next acquisition;
* a wake-up that woke somebody: the waker before the return from `schedule`; the first one also before the thread's
  first line. A wake-up of a task that runs hands over nothing, and neither does an announcement
  (`set_current_state`): its barrier orders the sleeper's own accesses and publishes none of them;
* a completion: `complete` before the wait that takes from it, and before a `completion_done` that says yes;
* flag bits: a `set_bit` or `clear_bit` before every later look at the same word (what x86 does; the kernel promises
  it only together with a barrier);
* making a thread before all that it does.

`READ_ONCE` and `WRITE_ONCE` put nothing in order. Two of them never race with each other, one of them and a plain
access do: both sides have to say that they mean it. (So it is defined for the kernel, tools/memory-model.)

Time is counted in epochs: a task begins a new one whenever it hands something over. An epoch knows by its vector
clock what of every other task lies before it; a field remembers the epochs of its last write and last reads.
Vector clocks as in FastTrack (Flanagan and Freund, 2009). Whatever the order in which the explorer lets tasks run, a
race shows in every execution in which the two accesses are not put in order, so that few executions are enough.
"""

from collections.abc import Callable
from typing import Any

from kwlab.explore.places import Place, place_here
from kwlab.runtime.model import ModelRuntime, Observer
from kwlab.runtime.model_objects import ModelTask
from kwlab.runtime.model_ops import (
    COMPLETE,
    LOCK,
    SCHEDULE,
    SET_BIT,
    SPAWN,
    TEST_BIT,
    TEST_COMPLETION,
    UNLOCK,
    WAIT,
    WAKE,
)
from kwlab.struct import Struct

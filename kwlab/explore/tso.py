"""Total store order: what an x86 processor may do with a plain store.

A store goes into a buffer of the processor that made it, which sees it at once; everybody else sees it only when it
leaves the buffer, first in, first out. When it does is nobody's choice but the hardware's: here a device of each task
that stored something, which the search may choose at any time. A full barrier empties the buffer.

Buffered are the stores that may meet a reader without a lock: ``task.state = ...`` (`__set_current_state`) and
`WRITE_ONCE`. Other fields need no buffer, as long as there is no data race: then whoever reads them has taken over from
the writer by an operation that empties the buffer. So this memory model turns the race detector on.

To reductions a store is an access of its buffer, and the device's step one of the buffer and of what is stored there
(see `kwlab.explore.dependency`); so are a barrier's, for each store that it makes visible.

Full barriers: `set_current_state`, taking and releasing a lock, waking (whoever is woken or not), completing and
waiting, `schedule`, setting and clearing a flag bit (a locked instruction), and the end of a task.
"""

from collections import deque
from typing import Any

from kwlab.runtime.model import ModelRuntime
from kwlab.runtime.model_clock import Device
from kwlab.runtime.model_objects import ModelTask, unobserved
from kwlab.runtime.model_ops import COMPLETE, LOCK, SET_BIT, SPAWN, TEST_COMPLETION, UNLOCK, WAIT, WAKE, WRITE

__all__ = ["MEMORY_MODELS", "StoreBuffer", "StoreBuffers"]

MEMORY_MODELS = {"sc": "sequentially consistent", "tso": "total store order"}
_BARRIERS = frozenset((COMPLETE, LOCK, SET_BIT, TEST_COMPLETION, UNLOCK, WAIT, WAKE))


class StoreBuffer(Device):
    """The stores of one task that nobody else sees yet."""

    def __init__(self, runtime: ModelRuntime, owner: ModelTask) -> None:
        super().__init__(runtime)
        self.name = f"store buffer of {owner.name}"
        self.owner = owner
        self.stores: deque[tuple[Any, str, Any]] = deque()

    def ready(self) -> bool:
        return bool(self.stores)

    def act(self) -> None:
        """The oldest store becomes visible."""
        task = self.runtime.running
        assert task is not None
        self.let_out(task)

    def let_out(self, task: ModelTask) -> None:
        """The oldest store becomes visible, in a step of `task`."""
        runtime = self.runtime
        target, field, value = self.stores.popleft()
        runtime.aside(WRITE, target.key if isinstance(target, ModelTask) else runtime.field_key(target, field))
        with unobserved(task):
            setattr(target, field, value)


class StoreBuffers:
    """The memory of one execution."""

    def __init__(self, runtime: ModelRuntime) -> None:
        self.runtime = runtime
        self._of: dict[ModelTask, StoreBuffer] = {}

    def attach(self) -> None:
        """Be the memory of the runtime; before others observe it, so that they see what a barrier makes visible."""
        runtime = self.runtime
        runtime.stores = self
        runtime.extra_state.append(lambda: [list(buffer.stores) for buffer in self._of.values()])
        observer = runtime.observer

        def both(task: ModelTask, op: int, target: Any, result: Any) -> None:
            if op in _BARRIERS:
                self.drain(task)
            if observer is not None:
                observer(task, op, target, result)

        runtime.observer = both

    def put(self, task: ModelTask, target: Any, field: str, value: Any) -> None:
        """`task` stores `value`."""
        buffer = self._of.get(task)
        if buffer is None:
            buffer = self._of[task] = StoreBuffer(self.runtime, task)
            self.runtime.attach(buffer)
            self.runtime.aside(SPAWN, self.runtime)  # who comes first decides the numbers of the devices
        buffer.stores.append((target, field, value))

    def get(self, task: ModelTask, target: Any, field: str) -> Any:
        """What `task` reads: its own latest store, or the memory."""
        buffer = self._of.get(task)
        for stored, name, value in reversed(buffer.stores if buffer is not None else ()):
            if stored is target and name == field:
                return value
        return getattr(target, field)

    def pending(self, task: ModelTask) -> bool:
        """True if `task` stored something that others do not see yet."""
        buffer = self._of.get(task)
        return buffer is not None and bool(buffer.stores)

    def drain(self, task: ModelTask) -> None:
        """A full barrier: all that `task` stored becomes visible."""
        buffer = self._of.get(task)
        if buffer is not None and buffer.stores:
            self.runtime.aside(WRITE, task.buffer_key)
            while buffer.stores:
                buffer.let_out(task)

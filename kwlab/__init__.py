"""kwlab: the Linux kernel's kthread_worker, to run, to take apart, and to break safely.

Everything public is here; start reading at `kwlab/worker.py`.
"""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING
from typing import Any as _Any

from kwlab.bug import WARN_ON
from kwlab.checking import check
from kwlab.errors import *  # noqa: F403
from kwlab.errors import __all__ as _errors
from kwlab.explore import join, stress
from kwlab.face import *  # noqa: F403
from kwlab.face import __all__ as _face
from kwlab.freezer import *  # noqa: F403
from kwlab.freezer import __all__ as _freezer
from kwlab.grade import hint, reset, solution
from kwlab.kthread import *  # noqa: F403
from kwlab.kthread import __all__ as _kthread
from kwlab.listhead import *  # noqa: F403
from kwlab.listhead import __all__ as _listhead
from kwlab.printk import *  # noqa: F403
from kwlab.printk import __all__ as _printk
from kwlab.printk import catch_print_in_works as _catch_print_in_works
from kwlab.runtime.linux import allowed_cpus
from kwlab.sched import *  # noqa: F403
from kwlab.sched import __all__ as _sched
from kwlab.struct import *  # noqa: F403
from kwlab.struct import __all__ as _struct
from kwlab.timer import *  # noqa: F403
from kwlab.timer import __all__ as _timer
from kwlab.tracepoint import Event, Recorder, record
from kwlab.worker import *  # noqa: F403
from kwlab.worker import __all__ as _worker

if TYPE_CHECKING:
    from kwlab.bench.recording import measured, measured_on, ratio
    from kwlab.draw.lanes import lanes_picture
    from kwlab.draw.layout import struct_picture
    from kwlab.draw.moment import moment_picture
    from kwlab.draw.queue import queue_picture
    from kwlab.draw.ratios import ratios_picture
    from kwlab.draw.ring import list_picture
    from kwlab.draw.source import source_picture
    from kwlab.draw.waits import waits_picture
    from kwlab.draw.workers import delays_picture, depth_picture, timeline_picture
    from kwlab.explore.from_events import from_events
    from kwlab.host.kworkers import find_workers, own_workers, what_it_runs
    from kwlab.host.livelab import capture_live
    from kwlab.host.mirror import mirror
    from kwlab.host.procfs import proc_thread
    from kwlab.host.structs import compare_structs, kernel_struct
    from kwlab.host.threadfiles import ThreadFiles, recorded_thread, recorded_threads
    from kwlab.host.tracefs import TracefsError
    from kwlab.trace.analysis import analyse
    from kwlab.trace.reader import TraceError, TraceReader
    from kwlab.trace.recorded import recorded_trace, recorded_traces
    from kwlab.widgets.live import LiveQueue
    from kwlab.widgets.noise import NoiseSlider
    from kwlab.widgets.player import Player
    from kwlab.widgets.predict import Predict
    from kwlab.widgets.progress import progress
    from kwlab.widgets.scheduler import BeTheScheduler
    from kwlab.widgets.structs import StructExplorer

# Pictures and widgets are imported when they are first used: ipywidgets alone takes longer than all the rest.
_LATER = {
    "BeTheScheduler": "kwlab.widgets.scheduler",
    "LiveQueue": "kwlab.widgets.live",
    "NoiseSlider": "kwlab.widgets.noise",
    "Player": "kwlab.widgets.player",
    "Predict": "kwlab.widgets.predict",
    "StructExplorer": "kwlab.widgets.structs",
    "ThreadFiles": "kwlab.host.threadfiles",
    "TraceError": "kwlab.trace.reader",
    "TraceReader": "kwlab.trace.reader",
    "TracefsError": "kwlab.host.tracefs",
    "analyse": "kwlab.trace.analysis",
    "capture_live": "kwlab.host.livelab",
    "compare_structs": "kwlab.host.structs",
    "delays_picture": "kwlab.draw.workers",
    "depth_picture": "kwlab.draw.workers",
    "find_workers": "kwlab.host.kworkers",
    "from_events": "kwlab.explore.from_events",
    "kernel_struct": "kwlab.host.structs",
    "lanes_picture": "kwlab.draw.lanes",
    "list_picture": "kwlab.draw.ring",
    "measured": "kwlab.bench.recording",
    "measured_on": "kwlab.bench.recording",
    "mirror": "kwlab.host.mirror",
    "moment_picture": "kwlab.draw.moment",
    "own_workers": "kwlab.host.kworkers",
    "proc_thread": "kwlab.host.procfs",
    "progress": "kwlab.widgets.progress",
    "queue_picture": "kwlab.draw.queue",
    "ratio": "kwlab.bench.recording",
    "ratios_picture": "kwlab.draw.ratios",
    "recorded_thread": "kwlab.host.threadfiles",
    "recorded_threads": "kwlab.host.threadfiles",
    "recorded_trace": "kwlab.trace.recorded",
    "recorded_traces": "kwlab.trace.recorded",
    "source_picture": "kwlab.draw.source",
    "struct_picture": "kwlab.draw.layout",
    "timeline_picture": "kwlab.draw.workers",
    "waits_picture": "kwlab.draw.waits",
    "what_it_runs": "kwlab.host.kworkers",
}


def __getattr__(name: str) -> _Any:
    if name not in _LATER:
        raise AttributeError(f"module 'kwlab' has no attribute {name!r}")
    return getattr(_import_module(_LATER[name]), name)


__all__ = [
    *_errors,
    *_face,
    *_freezer,
    *_kthread,
    *_listhead,
    *_printk,
    *_sched,
    *_struct,
    *_timer,
    *_worker,
    "BeTheScheduler",
    "Event",
    "LiveQueue",
    "NoiseSlider",
    "Player",
    "Predict",
    "Recorder",
    "StructExplorer",
    "ThreadFiles",
    "TraceError",
    "TraceReader",
    "TracefsError",
    "WARN_ON",
    "allowed_cpus",
    "analyse",
    "capture_live",
    "compare_structs",
    "delays_picture",
    "depth_picture",
    "find_workers",
    "from_events",
    "kernel_struct",
    "lanes_picture",
    "list_picture",
    "measured",
    "measured_on",
    "mirror",
    "moment_picture",
    "own_workers",
    "proc_thread",
    "queue_picture",
    "ratio",
    "ratios_picture",
    "record",
    "recorded_thread",
    "recorded_threads",
    "recorded_trace",
    "recorded_traces",
    "source_picture",
    "struct_picture",
    "timeline_picture",
    "waits_picture",
    "what_it_runs",
    "check",
    "hint",
    "join",
    "progress",
    "reset",
    "solution",
    "stress",
]

_catch_print_in_works()

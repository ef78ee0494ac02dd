"""kwlab: the Linux kernel's kthread_worker, to run, to take apart, and to break safely.

Everything public is here; start reading at `kwlab/worker.py`.
"""

from kwlab.checking import check
from kwlab.errors import *  # noqa: F403
from kwlab.errors import __all__ as _errors
from kwlab.face import *  # noqa: F403
from kwlab.face import __all__ as _face
from kwlab.freezer import *  # noqa: F403
from kwlab.freezer import __all__ as _freezer
from kwlab.grade import hint, reset, solution, status
from kwlab.kthread import *  # noqa: F403
from kwlab.kthread import __all__ as _kthread
from kwlab.listhead import *  # noqa: F403
from kwlab.listhead import __all__ as _listhead
from kwlab.printk import *  # noqa: F403
from kwlab.printk import __all__ as _printk
from kwlab.sched import *  # noqa: F403
from kwlab.sched import __all__ as _sched
from kwlab.struct import *  # noqa: F403
from kwlab.struct import __all__ as _struct
from kwlab.timer import *  # noqa: F403
from kwlab.timer import __all__ as _timer
from kwlab.tracepoint import Event, Recorder, record
from kwlab.worker import *  # noqa: F403
from kwlab.worker import __all__ as _worker

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
    "Event",
    "Recorder",
    "check",
    "hint",
    "record",
    "reset",
    "solution",
    "status",
]

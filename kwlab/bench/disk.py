"""Real block I/O, through one worker and through a pool.

Reads of a real file past the page cache (O_DIRECT), and writes that are on the disk when `fsync` returns.
"""

import mmap
import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from kwlab.bench.contestants import WORKER, idle_worker
from kwlab.bench.results import Comparison, Result, not_measured
from kwlab.bench.size import Size
from kwlab.bench.statistics import paired
from kwlab.worker import DEFINE_KTHREAD_WORK, KthreadWorker, kthread_flush_worker, kthread_queue_work

__all__ = ["disk", "filesystem"]

THREADS = 4
MANY = f"ThreadPoolExecutor({THREADS})"
PAGE = 4096
PAGES = 1024  # of the file
TURNS = 3  # of each in a round, however quick: a disk answers unevenly
TOGETHER = 16  # operations that are handed in at once
STRIDE = 389  # pages from one operation to the next: not in order, and each page once before any comes again
MOUNTS = Path("/proc/self/mounts")

Operation = Callable[[], object]


class _Disk:
    """Prepares operations on the file at `path`, each on another page than the one before."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._page = 0

    def _place(self) -> int:
        self._page = (self._page + STRIDE) % PAGES
        return self._page * PAGE

    def reads(self, descriptor: int) -> list[Operation]:
        # O_DIRECT wants memory that begins at a page, for each operation its own.
        return [partial(os.preadv, descriptor, [mmap.mmap(-1, PAGE)], self._place()) for _ in range(TOGETHER)]

    def writes(self, descriptor: int) -> list[Operation]:
        def write(place: int) -> None:
            os.pwrite(descriptor, b"%015d\n" % place * (PAGE // 16), place)
            os.fsync(descriptor)

        return [partial(write, self._place()) for _ in range(TOGETHER)]


def filesystem(folder: Path) -> str:
    """The kind of file system that `folder` is on, as the mount table says: the last mount of the longest path."""
    best, kind = -1, "unknown file system"
    try:
        lines = MOUNTS.read_text().splitlines()
    except OSError:
        return kind
    for line in lines:
        _, place, found, *_ = line.split()
        if folder.is_relative_to(place) and len(place) >= best:
            best, kind = len(place), found
    return kind


def _run(operation: Operation, work: object) -> None:
    operation()


def _by_worker(worker: KthreadWorker, prepare: Callable[[], list[Operation]]) -> float:
    works = [DEFINE_KTHREAD_WORK(partial(_run, operation)) for operation in prepare()]
    start = time.perf_counter()
    for work in works:
        kthread_queue_work(worker, work)
    kthread_flush_worker(worker)
    return (time.perf_counter() - start) / len(works)


def _by_pool(pool: ThreadPoolExecutor, prepare: Callable[[], list[Operation]]) -> float:
    operations = prepare()
    start = time.perf_counter()
    for future in [pool.submit(run) for run in operations]:
        future.result()
    return (time.perf_counter() - start) / len(operations)


def _compare(size: Size, name: str, words: str, path: str, flags: int, kind: str) -> Result:
    subject = f"{PAGE} bytes {words} ({kind}), {TOGETHER} handed in at once, per operation"
    disk = _Disk(path)
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        return not_measured(name, subject, f"{kind} does not open a file so ({error.strerror})")
    prepare = partial(disk.writes if flags & os.O_RDWR else disk.reads, descriptor)
    try:
        with idle_worker() as worker, ThreadPoolExecutor(THREADS) as pool:
            samples = paired(
                size.rounds,
                {WORKER: partial(_by_worker, worker, prepare), MANY: partial(_by_pool, pool, prepare)},
                TURNS,
            )
    finally:
        os.close(descriptor)
    return Comparison(name, subject, "s", samples, WORKER, MANY, None, {"filesystem": kind})


def disk(size: Size) -> list[Result]:
    """Reads, then writes, of one file."""
    direct = getattr(os, "O_DIRECT", None)
    with tempfile.NamedTemporaryFile(prefix="kwlab-bench-") as file:
        file.write(os.urandom(PAGE) * PAGES)
        file.flush()
        os.fsync(file.fileno())
        kind = filesystem(Path(file.name).resolve())
        reads = "read past the page cache"
        return [
            _compare(size, "disk-read", reads, file.name, os.O_RDONLY | direct, kind)
            if direct is not None
            else not_measured("disk-read", f"{PAGE} bytes {reads}", "needs O_DIRECT: Linux"),
            _compare(size, "disk-fsync", "written and fsynced", file.name, os.O_RDWR, kind),
        ]

"""Looks at works and workers: what the kernel's recorder printed of them. They change nothing, except `rescue`."""

from itertools import islice
from typing import Any

from kwlab.errors import ListCorruption
from kwlab.listhead import list_del_init, list_empty, list_for_each_entry
from kwlab.scenario.stage import Stage
from kwlab.sched import task_state_to_char
from kwlab.timer import timer_pending

__all__ = ["look", "rescue"]

LONGEST = 10_000  # a broken worker may tie a list into a ring without its head


def look(stage: Stage, name: str, who: str) -> Any:
    """The answer of the look called `name` at the work or worker called `who`."""
    if name == "state_work":
        return _work(stage, who)
    if name == "state_thread":
        thread = stage.workers[who].thread
        return "X" if thread is None else task_state_to_char(thread.state)
    worker = stage.workers[who].item
    if name == "state_worker":
        with worker.lock:
            return {
                "work_list": len(_entries(stage, worker.work_list)),
                "delayed_work_list": len(_entries(stage, worker.delayed_work_list)),
                "current": "set" if worker.current_work is not None else "NULL",
                "task": "set" if worker.task is not None else "NULL",
            }
    with worker.lock:
        return [_named(stage, work) for work in _entries(stage, getattr(worker, name.removeprefix("state_")))]


def rescue(stage: Stage, who: str, which: str) -> list[str]:
    """Unlink every entry that is no work of the scenario (they are flush works), and run it here; their names.

    That frees a task that would wait for ever in kthread_flush_work().
    """
    worker = stage.workers[who].item
    with worker.lock:
        foreign = [work for work in _entries(stage, getattr(worker, which)) if stage.name_at(id(work)) is None]
        for work in foreign:
            list_del_init(work.node)
    for work in foreign:
        work.func(work)
    return [_named(stage, work) for work in foreign]


def _work(stage: Stage, who: str) -> dict[str, Any]:
    staged = stage.works[who]
    work = staged.work
    owner = next((worker.name for worker in stage.live_workers() if worker.item is work.worker), "other")
    return {
        "node_empty": int(list_empty(work.node)),
        "canceling": work.canceling,
        "is_current": int(any(worker.item.current_work is work for worker in stage.live_workers())),
        "worker": "NULL" if work.worker is None else owner,
        "timer_pending": int(staged.timer is not None and timer_pending(staged.timer)),
    }


def _entries(stage: Stage, head: Any) -> list[Any]:
    entries = list(islice(list_for_each_entry(head, stage.subject.KthreadWork, "node"), LONGEST))
    if len(entries) == LONGEST:
        raise ListCorruption(f"a list with more than {LONGEST} entries: it never comes back to its head")
    return entries


def _named(stage: Stage, work: Any) -> str:
    return stage.name_at(id(work)) or str(work.func.__name__)

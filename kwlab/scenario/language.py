"""The words a scenario may use: every operation, what it takes, who may say it, and what it answers.

Kernel functions carry the kernel's names and do what the kernel's do. The rest are a scenario's own: threads, gates,
waits (no wait sleeps: time is virtual and passes only while every task sleeps), looks and checks.
"""

from dataclasses import dataclass

__all__ = ["HANG", "LISTS", "OPERATIONS", "Operation"]

HANG = 5000  # jiffies of virtual time after which a wait counts as a hang
LISTS = ("work_list", "delayed_work_list")

EVERYBODY = ("main", "actor", "body")


@dataclass(frozen=True)
class Operation:
    """One word: its `parameters` by kind, the kind of its `answer`, who says it, and whether it may sleep.

    `answer`: "bool", "count", "fields", "works", "letter", "void" (it came back) or "" (there is none).
    `must_answer`: a step with this word must say what the answer is.
    """

    name: str
    parameters: tuple[str, ...]
    answer: str
    meaning: str
    who: tuple[str, ...] = ("main",)
    sleeps: bool = False

    @property
    def must_answer(self) -> bool:
        return self.answer not in ("", "void", "count") or self.name.startswith("check_")

    @property
    def usage(self) -> str:
        return f"{self.name}({', '.join(self.parameters)})"


_WORK_AND_WORKER = ("work", "worker")
_DELAYED = ("delayed work", "worker", "jiffies")

OPERATIONS: dict[str, Operation] = {
    operation.name: operation
    for operation in (
        # the kernel's
        Operation("kthread_queue_work", _WORK_AND_WORKER, "bool", "queue it", EVERYBODY),
        Operation("kthread_queue_delayed_work", _DELAYED, "bool", "queue it later", EVERYBODY),
        Operation("kthread_mod_delayed_work", _DELAYED, "bool", "queue it later, pending or not", EVERYBODY),
        Operation("kthread_flush_work", ("work",), "void", "wait for this work", EVERYBODY, sleeps=True),
        Operation("kthread_flush_worker", ("worker",), "void", "wait for all works", EVERYBODY, sleeps=True),
        Operation("kthread_cancel_work_sync", ("work",), "bool", "take it back", EVERYBODY, sleeps=True),
        Operation(
            "kthread_cancel_delayed_work_sync",
            ("delayed work",),
            "bool",
            "take it back, timer and all",
            EVERYBODY,
            sleeps=True,
        ),
        Operation("kthread_destroy_worker", ("worker",), "void", "flush, stop, free", ("main", "actor"), sleeps=True),
        Operation("kthread_stop", ("worker",), "count", "stop its thread", ("main", "actor"), sleeps=True),
        Operation("kthread_init_work", ("work",), "", "initialise the work again"),
        Operation("kthread_init_worker", ("worker",), "", "initialise the worker again"),
        Operation("kfree", ("work",), "", "free the work, from its own function", ("body",)),
        Operation("msleep", ("jiffies",), "", "let time pass", ("main", "body")),
        # threads
        Operation("kthread_run", ("worker", "thread name?"), "", "run kthread_worker_fn in a new thread"),
        Operation("wake_up_process", ("worker",), "", "wake the worker's thread"),
        # gates and waits
        Operation("open_gate", ("work",), "", "let one run of a gated work go on"),
        Operation("stop_requeueing", ("work",), "", "its body of `every` run makes no more calls"),
        Operation("settle", (), "", "wait until every task sleeps"),
        Operation("started", ("work",), "", "wait until its function has begun once more"),
        Operation("ended", ("work",), "", "wait until its function has ended once more"),
        Operation("joined", ("actor",), "", "wait until the actor's call is back"),
        # looks and checks
        Operation("blocked", ("actor",), "bool", "its call is not back, and every task sleeps"),
        Operation("returned", ("actor",), "bool", "its call is back (time may pass)"),
        Operation("state_work", ("work",), "fields", "look at the work"),
        Operation("state_worker", ("worker",), "fields", "look at the worker"),
        Operation("state_work_list", ("worker",), "works", "what is queued, first to last"),
        Operation("state_delayed_work_list", ("worker",), "works", "what is on the delayed list"),
        Operation("state_thread", ("worker",), "letter", "the state of its thread: R, S, D or X"),
        Operation("check_runs", ("work",), "count", "how often its function has begun"),
        Operation("check_ended", ("work",), "bool", "a run has ended that no ended() has waited for"),
        Operation("check_stuck", ("work", "jiffies"), "bool", "it does not end within that time"),
        Operation("check_runs_again", ("work", "jiffies"), "bool", "it begins again within that time"),
        Operation("check_wakings", ("worker",), "count", "wake-ups its thread got since the last such check"),
        Operation("check_true_returns_equal_runs", ("work",), "bool", "as many runs as calls that queued it"),
        Operation(
            "rescue", ("worker", "list"), "works", "unlink and run what is not one of the scenario's works (flushes)"
        ),
    )
}

FIELDS = {
    "state_work": ("node_empty", "canceling", "is_current", "worker", "timer_pending"),
    "state_worker": ("work_list", "delayed_work_list", "current", "task"),
}

"""What is known to differ between the kernels that were recorded (6.1, 6.12) and the one that kwlab follows (6.18).

Nothing else differs in the recorded scenarios: a test compares the two recordings with this table.
"""

from dataclasses import dataclass

__all__ = ["DIFFERENCES", "RECORDED", "TARGET", "VERSIONS", "Difference"]

RECORDED = ("6.1.192", "6.12.95")
TARGET = "6.18"
VERSIONS = (*RECORDED, TARGET)


@dataclass(frozen=True)
class Difference:
    """One difference: `what`, since which kernel, what each of `VERSIONS` does, and which scenarios show it."""

    what: str
    since: str
    says: tuple[str, str, str]
    shown_by: tuple[str, ...]
    # It shows in the recordings: in the WARN lines of the scenarios, as "function" or "file:line function".
    warn_place: bool = False


DIFFERENCES = (
    Difference(
        "kthread_create_worker()",
        "6.14",
        ("starts the thread", "starts the thread", "leaves it asleep in state D; kthread_run_worker() starts it"),
        ("create_does_not_start",),
    ),
    Difference(
        "kthread_create_worker_on_cpu()",
        "6.14",
        (
            "takes printf arguments for the name",
            "takes printf arguments for the name",
            "takes none: the CPU's number is filled in",
        ),
        ("o_open",),
    ),
    Difference(
        "kthread_destroy_worker() while a timer is armed",
        "6.3",
        ("says nothing", "warns", "warns"),
        ("destroy_with_timer_armed",),
    ),
    Difference(
        "place of the WARN about a work of another worker",
        "",
        ("kernel/kthread.c:975 kthread_insert_work", "kernel/kthread.c:994 kthread_insert_work", "kthread_insert_work"),
        ("q2_finished_elsewhere",),
        warn_place=True,
    ),
    Difference(
        "place of the WARN about a work that is on no list when its timer fires",
        "",
        (
            "kernel/kthread.c:1048 kthread_delayed_work_timer_fn",
            "kernel/kthread.c:1067 kthread_delayed_work_timer_fn",
            "kthread_delayed_work_timer_fn",
        ),
        ("j9_cancel_work_on_dwork",),
        warn_place=True,
    ),
)

"""Make notebooks/claims.md: what the article says, what the kernel does, and the cell that shows it.

    python -m tools.claims          write notebooks/claims.md anew

The notebooks carry the places as tags of their cells: `claim-9` on the box that takes up claim 9, `shows-9` on each
code cell whose output is the evidence.
"""

import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import typer

from tools.notebooks import ROOT, code_cells, course_notebooks, read

PAGE = "notebooks/claims.md"
TAG = re.compile(r"(claim|shows)-(\d+)")
BOX = re.compile(r"^> \*\*The article", re.MULTILINE)


@dataclass(frozen=True)
class Claim:
    """Something that the article says, a word on it, and what holds in Linux 6.18."""

    article: str
    verdict: str
    kernel: str


CLAIMS = {
    1: Claim(
        "A worker has `lock` (a `spinlock_t`), `work_list`, `task`, `current_work`.",
        "outdated",
        "That is 3.19 to 4.8. Since 4.9 there are `flags` and `delayed_work_list` too; the lock has become a raw one.",
    ),
    2: Claim("A work has `node`, `func`, `worker`.", "outdated", "Since 4.9 also `canceling`, a counter."),
    3: Claim(
        "`kthread_create_worker` starts a worker.",
        "outdated",
        "Since 6.14 it only creates one; `kthread_run_worker` creates and wakes.",
    ),
    4: Claim(
        "The example uses what it gets without a look.", "wrong", "It may be an error pointer: test with `IS_ERR`."
    ),
    5: Claim(
        "The example is a module.",
        "incomplete",
        "It lacks `module_init`, `module_exit` and a GPL-compatible licence, which queue, flush and cancel need.",
    ),
    6: Claim(
        "On the way out: flush the work, then destroy the worker.",
        "imprecise",
        "Destroy flushes the whole queue itself. What may be missing is a cancel of works that queue themselves.",
    ),
    7: Claim(
        "To queue is: lock, link, wake.",
        "incomplete",
        "A pending or cancelled work is refused, the worker is noted in the work, and the wake-up is conditional.",
    ),
    8: Claim(
        "The thread loops: while not stopped, take a work, run it.",
        "incomplete",
        "Announced, then looked for, then slept; and the stop is tested before a work is taken.",
    ),
    9: Claim(
        "A work that is queued again before it has finished is usually refused.",
        "wrong",
        "It is refused if it is pending or being cancelled, always; while it runs it is accepted for one more run.",
    ),
    10: Claim(
        "To free a work too early may make the callback touch freed memory.",
        "imprecise",
        "To free a queued work is certain damage; to free a running one in its own function is allowed.",
    ),
    11: Claim(
        "A work may sleep.", "incomplete", "It may, and all later works of the worker wait; it cannot flush its own."
    ),
    12: Claim(
        "A worker can be bound to a CPU.",
        "incomplete",
        "Between creation and first wake-up, and until that CPU goes offline.",
    ),
    13: Claim(
        "A worker's priority can be set.",
        "imprecise",
        "By nobody but you: `sched_set_fifo(worker->task)`. It starts as `SCHED_OTHER`, nice 0, as any thread.",
    ),
    14: Claim(
        "Fast drivers should prefer a worker: its latency is more stable.",
        "wrong",
        "One thread has no parallelism, and each start from idle costs a wake-up. It gains by priority or isolation.",
    ),
    15: Claim("A worker is a private thread pool.", "wrong", "It is one thread."),
    16: Claim(
        "A workqueue is the system's thread pool.",
        "imprecise",
        "`alloc_workqueue` gives domains of one's own, with attributes; what is shared is the pools behind.",
    ),
    17: Claim(
        "Debug it with `ps`, `/proc/PID/stack` and `/proc/PID/sched`.",
        "incomplete",
        "There are `wchan` and, since 5.11, three trace events; `stack` is for root.",
    ),
    18: Claim(
        "Five functions are the key ones.", "incomplete", "Missing: run, delayed works, mod, cancel, flush_worker."
    ),
    19: Claim(
        "A flush waits for the work.",
        "imprecise",
        "For the run that is owed when it is called, and for no later one.",
    ),
    20: Claim(
        "A worker is easy to debug, a workqueue is not.",
        "imprecise",
        "A workqueue has more tools; what a worker has is a thread with a name of its own.",
    ),
}
"""By a number that stays: the tags in the notebooks use it."""


def marked(root: Path) -> tuple[dict[int, list[str]], dict[int, list[str]], list[str]]:
    """By claim, the boxes that take it up and the cells that show it, as links; and what is wrong with the tags."""
    boxes: dict[int, list[str]] = defaultdict(list)
    shown: dict[int, list[str]] = defaultdict(list)
    faults = []
    for path in course_notebooks(root):
        notebook = read(path)
        counts = {place: count for count, (place, _) in enumerate(code_cells(notebook), start=1)}
        for place, cell in enumerate(notebook.cells, start=1):
            where = f"{path.name}, cell {place}"
            tags = [TAG.fullmatch(tag) for tag in cell.metadata.get("tags", [])]
            found = [(tag[1], int(tag[2])) for tag in tags if tag]
            is_box = cell.cell_type == "markdown" and BOX.search(cell.source) is not None
            if is_box and not any(kind == "claim" for kind, _ in found):
                faults.append(f"{where}: a box on the article without a tag claim-N")
            for kind, number in found:
                if number not in CLAIMS:
                    faults.append(f"{where}: there is no claim {number}")
                elif kind == "claim":
                    if not is_box:
                        faults.append(f"{where}: claim-{number} is not on a box that begins with The article")
                    boxes[number].append(f"[{path.name[:2]}]({path.name})")
                elif place not in counts:
                    faults.append(f"{where}: shows-{number} is not on a code cell")
                else:
                    shown[number].append(f"[{path.name[:2]}, In [{counts[place]}]]({path.name})")
    faults += [f"claim {number}: no cell shows it" for number in boxes if number not in shown]
    return boxes, shown, faults


def page(root: Path) -> str:
    """The text of claims.md, of those claims that a notebook takes up."""
    boxes, shown, _ = marked(root)
    met = [number for number in CLAIMS if number in boxes]
    lines = [
        "# The article's claims",
        "",
        "Made by `make claims` from the boxes in the notebooks: do not edit. The kernel is Linux 6.18.",
        f"Of {len(CLAIMS)} claims that need a word, {len(met)} are taken up so far. `In [N]` is the cell that",
        "shows it, numbered as in a notebook that was run from top to bottom.",
        "",
        "| # | the article says | verdict | the kernel | box in | shown by |",
        "|--:|---|---|---|---|---|",
    ]
    for number in met:
        claim = CLAIMS[number]
        places = f"{', '.join(boxes[number])} | {', '.join(shown[number])}"
        lines.append(f"| {number} | {claim.article} | {claim.verdict} | {claim.kernel} | {places} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write notebooks/claims.md anew; ends with 1 if a tag in a notebook is wrong."""
    _, _, faults = marked(ROOT)
    for fault in faults:
        typer.echo(fault, err=True)
    if faults:
        raise typer.Exit(1)
    (ROOT / PAGE).write_text(page(ROOT), encoding="utf-8")
    typer.echo(f"{PAGE}: written")


if __name__ == "__main__":
    typer.run(main)

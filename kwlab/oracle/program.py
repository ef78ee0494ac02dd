"""A scenario as the lines that the kernel module reads: one for each worker, work, call of a body, and step."""

from collections.abc import Iterator

from kwlab.scenario.format import Call, Scenario, WorkerSpec, WorkSpec

__all__ = ["ProgramError", "program"]

LIMITS = {"workers": 16, "works": 64, "steps": 512, "calls in bodies": 512}  # as in kwlab_oracle.c
LONGEST_NAME = 63


class ProgramError(ValueError):
    """A scenario that the module cannot play: says why."""


def program(scenario: Scenario) -> str:
    """The program of `scenario`. Errors: `ProgramError`."""
    bodies = [(work.name, run, call) for work in scenario.works.values() for run, call in _calls(work)]
    counts = (len(scenario.workers), len(scenario.works), len(scenario.before) + len(scenario.steps), len(bodies))
    for (what, limit), count in zip(LIMITS.items(), counts, strict=True):
        if count > limit:
            raise ProgramError(f"{scenario.name}: {count} {what}; the kernel module takes {limit}")
    lines = [
        *(_worker(worker) for worker in scenario.workers.values()),
        *(_line("WORK", w.name, int(w.delayed), int(w.gated), int(w.quiet)) for w in scenario.works.values()),
        *(_line("BODY", work, run, *_call(call)) for work, run, call in bodies),
        *(_line("BEFORE", *_call(call)) for call in scenario.before),
        *(_line("STEP", *_call(call)) for call in scenario.steps),
    ]
    return "".join(lines)


def _calls(work: WorkSpec) -> Iterator[tuple[int, Call]]:
    """The calls of a work's body, each with the number of its run; those of every run come last, as 0."""
    for run, calls in work.runs.items():
        yield from ((run, call) for call in calls)
    yield from ((0, call) for call in work.every)


def _worker(worker: WorkerSpec) -> str:
    cpu, nice = ("-" if value is None else value for value in (worker.cpu, worker.nice))
    name = worker.thread_name
    return _line("WORKER", worker.name, worker.made_by, worker.flags, cpu, worker.sched or "-", nice, name)


def _call(call: Call) -> tuple[object, ...]:
    return (call.number, call.times, call.by, call.operation.name, *call.arguments)


def _line(*words: object) -> str:
    for word in map(str, words):
        if len(word.encode()) > LONGEST_NAME or not word.isprintable():
            raise ProgramError(f"{word!r}: the kernel module takes names of up to {LONGEST_NAME} printable bytes")
    return "\t".join(map(str, words)) + "\n"

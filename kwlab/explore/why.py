"""Why an interleaving failed, in a sentence or two, read off its trace."""

from collections.abc import Callable

from kwlab.explore.trace_format import State, Step, Trace

__all__ = ["why"]

ANNOUNCEMENTS = ("set_current_state", "__set_current_state")


def why(trace: Trace) -> str:
    """What went wrong and which preemptions it took; "" if the trace has no bug."""
    if trace.bug is None:
        return ""
    reason = _REASONS.get(trace.bug.kind, _nothing)(trace)
    return " ".join(part for part in (reason, _preemptions(trace)) if part)


def _nothing(trace: Trace) -> str:
    return ""


def _preemptions(trace: Trace) -> str:
    steps = [step for step in trace.steps if step.preemption]
    if not steps:
        return "No preemption is needed: every task goes on as long as it can."
    places = []
    for step in steps:
        before = trace.steps[step.index - 1]
        place = before.state.tasks[before.task].place if before.task is not None else None
        at = f", at `{place.text}`" if place is not None else ""
        places.append(f"{trace.name_of(before.task)} before step {step.index}{at}")
    return f"It takes {len(steps)} preemption{'' if len(steps) == 1 else 's'}: {'; '.join(places)}."


# ------------------------------------------------------------------------------------------------------ lost wake-up


def _lost_wakeup(trace: Trace) -> str:
    assert trace.bug is not None
    sleeper = trace.bug.task or ""
    number = next((task.id for task in trace.tasks if task.name == sleeper), None)
    announced = _last(trace, lambda step: step.task == number and step.op in ANNOUNCEMENTS and _asleep(step))
    woken = _last(trace, lambda step: step.op == "wake_up" and step.target == sleeper)
    if announced is None:
        return ""
    later = trace.steps[announced.index + 1 :]
    linked = next((step for step in later if any(event.name == "list_add" for event in step.events)), None)
    if woken is not None and woken.index < announced.index and linked is None:
        return (
            f"The wake-up of step {woken.index} found {sleeper} TASK_RUNNING and left nothing behind; {sleeper} "
            f"announced its sleep after that, in step {announced.index}, and nobody wakes it again."
        )
    if woken is not None and woken.index > announced.index:
        return (
            f"{sleeper} announced its sleep in step {announced.index} with no barrier: the wake-up of step "
            f"{woken.index} did not see it and left nothing behind."
        )
    if linked is not None:
        stale = next((worker for worker in linked.state.workers if worker.task == number), None)
        because = f": current_work still is {stale.current_work}" if stale and stale.current_work else ""
        return f"Step {linked.index} queues a work for {sleeper}, whose sleep is announced, and wakes nobody{because}."
    return f"{sleeper} announced its sleep in step {announced.index}, and nobody wakes it."


def _asleep(step: Step) -> bool:
    return step.task is not None and step.state.tasks[step.task].state not in ("R", "P")


# ---------------------------------------------------------------------------------------------------------- deadlock


def _deadlock(trace: Trace) -> str:
    end = trace.steps[-1].state
    for worker in end.workers:
        flushes = [work for work in worker.delayed_work_list if work.startswith("flush")]
        if flushes:
            return f"{flushes[0]} is linked into {worker.name}'s delayed_work_list, where no thread looks for works."
        if worker.task is None and worker.work_list and not worker.freed:
            return f"{worker.name} has {_list(worker.work_list)} on its work_list and no thread that could run it."
        if worker.task is not None and worker.current_work is not None:
            doing = end.tasks[worker.task].doing
            if doing.startswith("waits for completion") and any(work.startswith("flush") for work in worker.work_list):
                return (
                    f"{worker.name}'s thread waits, in {worker.current_work}, for what only that same thread can run."
                )
    return f"Nobody can go on: {_waiting(trace, end)}."


def _waiting(trace: Trace, state: State) -> str:
    return "; ".join(
        f"{trace.name_of(number)} {task.doing}"
        for number, task in state.tasks.items()
        if task.doing != "exited" and not trace.tasks[number].device
    )


def _list(works: tuple[str, ...]) -> str:
    return ", ".join(works)


# ---------------------------------------------------------------------------------------------------- use after free


def _use_after_free(trace: Trace) -> str:
    freed = next((step for step in trace.steps if "frees the worker" in step.sentence), None)
    if freed is None or freed.task is None:
        return ""
    assert trace.bug is not None
    return f"{trace.name_of(freed.task)} frees the worker in step {freed.index}; {trace.bug.task} still uses it."


def _last(trace: Trace, is_it: Callable[[Step], object]) -> Step | None:
    return next((step for step in reversed(trace.steps) if is_it(step)), None)


_REASONS: dict[str, Callable[[Trace], str]] = {
    "deadlock": _deadlock,
    "lost wake-up": _lost_wakeup,
    "use after free": _use_after_free,
}

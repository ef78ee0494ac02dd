"""What each kind of bug means, for who has just met one."""

__all__ = ["MEANINGS"]

# By the kinds of `kwlab.explore.problems.KINDS`.
MEANINGS = {
    "assertion": "What the scenario insists on does not hold: the steps came in an order that its author forgot.",
    "data race": "Two tasks touch one field with nothing that orders them, and one of them writes: all bets are off.",
    "deadlock": "Who is left waits, and nobody is left who would end the wait.",
    "double run": "A work ran once more than it was queued: two had seen it pending, or it was taken twice.",
    "endless": "The tasks keep each other busy and get nowhere: nothing bounds how often this goes round.",
    "exception": "The code itself failed on this path.",
    "invariant": "Something that must hold after every step did not hold here.",
    "kernel warning": "A real kernel would print a WARNING with a stack here: a rule of the API was broken.",
    "list corruption": "A list's pointers disagree: a node was linked or unlinked twice, or without the lock.",
    "lock order": "Two locks are taken in both orders: some day each of two tasks holds one and waits for the other.",
    "locking": "A lock was used against its rules: released by who does not hold it, or not held where it must be.",
    "lost wake-up": "A task sleeps although there is something for it to do, and nobody is left who would wake it: the "
    "wake-up was skipped, or came before the sleep was announced, met a running task, and nobody keeps a wake-up.",
    "recursive lock": "A task waits for a spinlock that it holds itself: it spins for ever.",
    "sleeping while atomic": "A task went to sleep with a spinlock in its hands: who wants the lock spins meanwhile.",
    "soft lockup": "One task kept its CPU for itself, though others could have run: it never let them.",
    "thread left behind": "The scenario is over and its thread is still there: nobody stopped it.",
    "use after free": "Memory was touched that had been freed: in C, it may be somebody else's by now.",
    "work left behind": "A work is still queued and its thread is gone: it will never run.",
}

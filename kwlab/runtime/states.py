"""Task states and flags, as the kernel numbers them (include/linux/sched.h, Linux 6.18)."""

TASK_RUNNING = 0x0
TASK_INTERRUPTIBLE = 0x1
TASK_UNINTERRUPTIBLE = 0x2
TASK_PARKED = 0x40
TASK_DEAD = 0x80
TASK_NOLOAD = 0x400
TASK_FROZEN = 0x8000
TASK_NORMAL = TASK_INTERRUPTIBLE | TASK_UNINTERRUPTIBLE
TASK_IDLE = TASK_UNINTERRUPTIBLE | TASK_NOLOAD

PF_NOFREEZE = 0x8000
PF_NO_SETAFFINITY = 0x04000000

MAX_COMM = 15  # characters in task_struct::comm, the closing NUL not counted


def task_state_to_char(state: int) -> str:
    """The letter that ps and ftrace show for `state`."""
    if state == TASK_RUNNING:
        return "R"
    if state & TASK_IDLE == TASK_IDLE:
        return "I"
    for bit, letter in ((TASK_INTERRUPTIBLE, "S"), (TASK_UNINTERRUPTIBLE, "D"), (TASK_PARKED, "P"), (TASK_DEAD, "X")):
        if state & bit:
            return letter
    return "F" if state & TASK_FROZEN else "?"

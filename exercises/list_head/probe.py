"""What the grader may ask of an answer to list_head. Runs beside the answer.

A case is a table of rings: ``{"head": ["A", "B"], "C": None}`` is a head with two entries, and C, never initialised.
All of it is linked here by hand, so that no part of the answer depends on another. What a function did is reported as
the fields that it read and wrote, in order: the grader does the writes again on pointers of its own.
"""

from typing import Any

from kwlab import ListHead, Struct, container_of
from kwlab.grade.inside import Endless

LIMIT = 5000
SLOTS = {field: vars(ListHead)[field] for field in ("next", "prev")}

Rings = dict[str, list[str] | None]


class Job(Struct):
    """Two members of the same type: which of them is linked, only the caller knows."""

    name: str
    spare: ListHead
    node: ListHead


class Watched:
    """Stands before a field of ListHead and notes who touches it."""

    def __init__(self, field: str, log: "Log") -> None:
        self.field, self.slot, self.log = field, SLOTS[field], log

    def __get__(self, node: Any, owner: object = None) -> Any:
        if node is None:
            return self
        self.log.note("read", node, self.field, None)
        return self.slot.__get__(node)

    def __set__(self, node: Any, value: Any) -> None:
        self.log.note("write", node, self.field, value)
        self.slot.__set__(node, value)


class Log:
    """The fields that were touched, by the names of the case."""

    def __init__(self, names: dict[int, str]) -> None:
        self.names = names
        self.touched: list[list[str]] = []

    def note(self, how: str, node: Any, field: str, value: Any) -> None:
        if len(self.touched) >= LIMIT:
            raise Endless(f"after {LIMIT} steps from entry to entry it was still walking")
        self.touched.append([how, self.name(node), field, self.name(value)])

    def name(self, value: Any) -> str:
        return self.names.get(id(value), "None" if value is None else f"some other {type(value).__name__}")


def build(rings: Rings) -> dict[str, ListHead]:
    """ListHeads linked as `rings` says; entries are the `node` of a Job, heads are on their own."""
    _watch(None)
    nodes: dict[str, ListHead] = {}
    for name, entries in rings.items():
        nodes[name] = ListHead()
        ring = [nodes[name]]
        for entry in entries or []:
            job = Job()
            job.name = entry
            job.spare.next = job.spare.prev = job.spare
            nodes[entry] = job.node
            ring.append(job.node)
        if entries is not None:
            for before, after in zip(ring, [*ring[1:], ring[0]], strict=True):
                before.next, after.prev = after, before
    return nodes


def call(answer: dict[str, Any], rings: Rings, function: str, arguments: list[str]) -> dict[str, Any]:
    """Call one function on the named ListHeads: what it returned, and every field that it touched."""
    nodes = build(rings)
    log = Log({id(node): name for name, node in nodes.items()})
    _watch(log)
    returned = answer[function](*(nodes[name] for name in arguments))
    return {"returned": returned if isinstance(returned, bool) else repr(returned), "touched": log.touched}


def entries(answer: dict[str, Any], rings: Rings, head: str, unlink: list[str], member: str) -> list[str] | None:
    """The structs that the iteration yields, by name, or None if it is none; those in `unlink` are unlinked in hand."""
    nodes = build(rings)
    if member == "spare":  # the same rings, through the other member
        jobs = {name: container_of(node, Job, "node") for name, node in nodes.items() if node._container}
        ring = [nodes[head], *(jobs[name].spare for name in rings[head] or [])]
        for before, after in zip(ring, [*ring[1:], ring[0]], strict=True):
            before.next, after.prev = after, before
    _watch(Log({id(node): name for name, node in nodes.items()}))
    iteration = answer["list_for_each_entry_safe"](nodes[head], Job, member)
    if iteration is None:
        return None
    found = []
    for entry in iteration:
        found.append(entry.name if isinstance(entry, Job) else f"a {type(entry).__name__}")
        if found[-1] in unlink:
            node = getattr(entry, member)
            node.prev.next, node.next.prev = node.next, node.prev
            node.next = node.prev = node
    return found


def _watch(log: Log | None) -> None:
    for field, slot in SLOTS.items():
        setattr(ListHead, field, slot if log is None else Watched(field, log))

"""Points for list_head. Every pointer that is judged here is one that the grader wrote itself (`Pointers`)."""

from kwlab.grade.testing import Boxed, expect, fail, points

Rings = dict[str, list[str] | None]
AB: Rings = {"head": ["A", "B"], "C": None}
SIZES = (3, 300)


class Pointers:
    """The pointers of a case: next and prev by name, first as the case says, then as the answer's writes leave them."""

    def __init__(self, rings: Rings) -> None:
        self.next: dict[str, str] = {}
        self.prev: dict[str, str] = {}
        for name, entries in rings.items():
            ring = [name, *(entries or [])]
            for before, after in zip(ring, [*ring[1:], name], strict=True):
                self.next[before], self.prev[after] = (after, before) if entries is not None else ("None", "None")

    def write(self, node: str, field: str, value: str) -> None:
        {"next": self.next, "prev": self.prev}[field][node] = value

    def ring(self, head: str) -> str:
        """``head: A B``, or which pointer breaks the ring."""
        found, here = [], head
        while True:
            after = self.next.get(here, "None")
            if after not in self.next:
                return f"{here}.next is {after}"
            if self.prev[after] != here:
                return f"{here}.next is {after}, but {after}.prev is {self.prev[after]}"
            if after == head:
                return f"{head}: {' '.join(found)}" if found else f"{head}: empty"
            if after in found:
                return f"from {head}.next on, the ring never comes back to {head}"
            found.append(after)
            here = after


def run(answer: Boxed, rings: Rings, function: str, *arguments: str) -> tuple[object, Pointers, int]:
    """What the function returned, the pointers as it left them, and how many fields it touched."""
    called = show(rings, function, *arguments)
    reply = answer.probe("call", rings, function, arguments, called=called)
    pointers = Pointers(rings)
    for how, node, field, value in reply["touched"]:
        if how == "write":
            pointers.write(node, field, value)
    return reply["returned"], pointers, len(reply["touched"])


def show(rings: Rings, function: str, *arguments: str) -> str:
    """The call as a learner would write it, and the lists it finds."""
    lists = [f"{head}: {contents(entries)}" for head, entries in rings.items() if entries is not None]
    return f"{function}({', '.join(arguments)})  with  {', '.join(lists)}"


def contents(entries: list[str] | None) -> str:
    if not entries:
        return "empty"
    return " ".join(entries) if len(entries) < 10 else f"{entries[0]} ... {entries[-1]}, {len(entries)} entries"


def leaves(answer: Boxed, rings: Rings, call: tuple[str, ...], *expected: str) -> None:
    """The call leaves the rings as `expected` ("head: A B C") says."""
    _, pointers, _ = run(answer, rings, *call)
    came = [pointers.ring(ring.partition(":")[0]) for ring in expected]
    expect(called=show(rings, *call), came=", ".join(came), expected=", ".join(expected))


def does_not_walk(answer: Boxed, call: tuple[str, ...], *heads: str) -> None:
    """The call touches as many fields of a long list as of a short one."""
    touched = []
    for size in SIZES:
        rings: Rings = {head: [f"{head[0]}{number}" for number in range(size)] for head in heads} | {"C": None}
        touched.append(run(answer, rings, *call)[2])
    if touched[0] != touched[1] or not touched[0]:
        sizes = " and ".join(f"{size} entries: {count}" for size, count in zip(SIZES, touched, strict=True))
        expect(
            called=f"{call[0]}({', '.join(call[1:])})",
            came=f"fields touched with {sizes}",
            expected="as many with both, and not none",
            message="it walks the list: the pointers that change are next to `head`, reach them from there",
        )


@points(2, part=1)
def test_add_links_at_the_front(answer: Boxed) -> None:
    """`list_add` links the new entry right behind the head."""
    leaves(answer, AB, ("list_add", "C", "head"), "head: C A B")


@points(2, part=1)
def test_add_tail_links_at_the_tail(answer: Boxed) -> None:
    """`list_add_tail` links the new entry right before the head."""
    leaves(answer, AB, ("list_add_tail", "C", "head"), "head: A B C")


@points(2, part=1)
def test_add_works_beside_any_entry(answer: Boxed) -> None:
    """Both work beside any entry in place of the head: behind it, and before it."""
    leaves(answer, AB, ("list_add", "C", "A"), "head: A C B")
    leaves(answer, AB, ("list_add_tail", "C", "B"), "head: A C B")


@points(2, part=1)
def test_add_to_an_empty_list(answer: Boxed) -> None:
    """Both add the first entry of an empty list."""
    empty: Rings = {"head": [], "C": None}
    leaves(answer, empty, ("list_add", "C", "head"), "head: C")
    leaves(answer, empty, ("list_add_tail", "C", "head"), "head: C")


@points(1, part=1)
def test_add_does_not_walk(answer: Boxed) -> None:
    """Both touch as few fields of a long list as of a short one."""
    does_not_walk(answer, ("list_add", "C", "head"), "head")
    does_not_walk(answer, ("list_add_tail", "C", "head"), "head")


@points(2, part=2)
def test_del_init_closes_the_gap(answer: Boxed) -> None:
    """`list_del_init` lets both neighbours point at each other: in the middle, at both ends, and for the only entry."""
    rings: Rings = {"head": ["A", "B", "C"]}
    leaves(answer, rings, ("list_del_init", "B"), "head: A C")
    leaves(answer, rings, ("list_del_init", "A"), "head: B C")
    leaves(answer, rings, ("list_del_init", "C"), "head: A B")
    leaves(answer, {"head": ["A"]}, ("list_del_init", "A"), "head: empty")


@points(2, part=2)
def test_del_init_leaves_the_entry_on_no_list(answer: Boxed) -> None:
    """`list_del_init` leaves the entry pointing at itself, both ways."""
    leaves(answer, {"head": ["A", "B", "C"]}, ("list_del_init", "B"), "B: empty")


@points(1, part=2)
def test_del_init_twice_is_harmless(answer: Boxed) -> None:
    """`list_del_init` of an entry that is on no list changes nothing."""
    leaves(answer, {"head": ["A"], "C": []}, ("list_del_init", "C"), "C: empty", "head: A")


@points(3, part=2)
def test_empty_tells_linked_from_unlinked(answer: Boxed) -> None:
    """`list_empty` returns True for an empty list and an entry on no list, else False, and changes nothing."""
    cases: list[tuple[Rings, str, bool]] = [
        ({"head": []}, "head", True),
        ({"head": ["A"]}, "head", False),
        ({"head": ["A", "B"]}, "head", False),
        ({"head": ["A", "B"]}, "A", False),
        ({"head": ["A"]}, "A", False),
    ]
    for rings, name, expected in cases:
        returned, pointers, _ = run(answer, rings, "list_empty", name)
        called = show(rings, "list_empty", name)
        if returned == "None":
            answer.must_return("list_empty", called=called)
        expect(called=called, came=returned, expected=expected)
        before = Pointers(rings)
        expect(called=called, came=pointers.ring("head"), expected=before.ring("head"))


@points(2, part=3)
def test_splice_moves_all_in_order(answer: Boxed) -> None:
    """`list_splice_tail_init` moves every entry to the tail, in order."""
    rings: Rings = {"head": ["A", "B"], "source": ["X", "Y", "Z"]}
    leaves(answer, rings, ("list_splice_tail_init", "source", "head"), "head: A B X Y Z")
    leaves(answer, {"head": ["A"], "source": ["X"]}, ("list_splice_tail_init", "source", "head"), "head: A X")


@points(2, part=3)
def test_splice_leaves_the_source_empty(answer: Boxed) -> None:
    """`list_splice_tail_init` leaves the source pointing at itself, both ways."""
    rings: Rings = {"head": ["A"], "source": ["X", "Y"]}
    leaves(answer, rings, ("list_splice_tail_init", "source", "head"), "source: empty")


@points(1, part=3)
def test_splice_of_nothing_changes_nothing(answer: Boxed) -> None:
    """Splicing an empty list leaves both lists as they are."""
    rings: Rings = {"head": ["A", "B"], "source": []}
    leaves(answer, rings, ("list_splice_tail_init", "source", "head"), "head: A B", "source: empty")


@points(1, part=3)
def test_splice_into_an_empty_list(answer: Boxed) -> None:
    """Splicing into an empty list hands the whole list over."""
    rings: Rings = {"head": [], "source": ["X", "Y"]}
    leaves(answer, rings, ("list_splice_tail_init", "source", "head"), "head: X Y", "source: empty")


@points(1, part=3)
def test_splice_does_not_walk(answer: Boxed) -> None:
    """However long the lists are, splicing touches the same few fields."""
    does_not_walk(answer, ("list_splice_tail_init", "source", "head"), "head", "source")


def iterated(answer: Boxed, rings: Rings, unlink: list[str], member: str = "node") -> None:
    """The iteration over head yields what is on it."""
    called = f'list_for_each_entry_safe(head, Job, "{member}")  with  head: {contents(rings["head"])}'
    if unlink:
        called += f", and the caller unlinks {' and '.join(unlink)} while in hand"
    arguments = (rings, "head", unlink, member)
    found = answer.probe("entries", *arguments, called=called)
    if found is None:
        answer.must_return("list_for_each_entry_safe", called=called)
        fail(called=called, message="it returned None: a function that yields returns a generator")
    expect(called=called, came=" ".join(map(str, found)), expected=" ".join(rings["head"] or []))


@points(3, part=4)
def test_the_structs_come_in_order(answer: Boxed) -> None:
    """`list_for_each_entry_safe` yields the structs, first to last, through whichever member links them."""
    iterated(answer, {"head": ["A", "B", "C"]}, [])
    iterated(answer, {"head": ["A", "B", "C"]}, [], member="spare")


@points(1, part=4)
def test_an_empty_list_yields_nothing(answer: Boxed) -> None:
    """Of an empty list it yields nothing: the head is in no struct."""
    iterated(answer, {"head": []}, [])


@points(2, part=4)
def test_the_entry_in_hand_may_be_unlinked(answer: Boxed) -> None:
    """The caller may unlink the entry it was just given, and gets all the others."""
    iterated(answer, {"head": ["A", "B", "C"]}, ["B"])
    iterated(answer, {"head": ["A", "B", "C"]}, ["A", "B", "C"])

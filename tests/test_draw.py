"""The pictures: what they show, that they say it in words, and that they are the same every time."""

import re
import xml.etree.ElementTree as ET
from base64 import b64decode
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest
from traces import long_trace, lost_wakeup

from kwlab import (
    DEFINE_KTHREAD_DELAYED_WORK,
    DEFINE_KTHREAD_WORK,
    INIT_LIST_HEAD,
    KthreadWorker,
    ListHead,
    Worker,
    complete,
    init_completion,
    kthread_cancel_delayed_work_sync,
    kthread_init_worker,
    kthread_queue_delayed_work,
    kthread_queue_work,
    list_add_tail,
    wait_for_completion,
)
from kwlab.draw.course import Goal, course_picture
from kwlab.draw.fields import Queued, QueueState, draw_queue
from kwlab.draw.lanes import lanes_picture
from kwlab.draw.layout import struct_picture
from kwlab.draw.moment import moment_picture
from kwlab.draw.queue import queue_picture, queue_state
from kwlab.draw.ratios import Ratio, ratios_picture
from kwlab.draw.ring import list_picture
from kwlab.draw.source import source_picture
from kwlab.draw.svg import Picture, Svg, clipped, elided
from kwlab.draw.waits import waits_picture
from kwlab.explore.trace_format import BugNote, State, TaskNote, TaskState
from kwlab.host.structs import kernel_struct

SVG = "{http://www.w3.org/2000/svg}"


def drawing(picture: Picture) -> ET.Element:
    return ET.fromstring(picture.svg)


def texts(picture: Picture) -> list[str]:
    return [element.text or "" for element in drawing(picture).iter(f"{SVG}text")]


def ring(*names: str) -> tuple[ListHead, dict[str, ListHead]]:
    head, entries = ListHead(), {name: ListHead() for name in names}
    for entry in (head, *entries.values()):
        INIT_LIST_HEAD(entry)
    return head, entries


def linked(number: int) -> ListHead:
    head, entries = ring(*(f"e{n}" for n in range(number)))
    for entry in entries.values():
        list_add_tail(entry, head)
    return head


BUSY = QueueState(
    "demo",
    "D",
    "MainThread",
    (Queued("A"), Queued("flush", flush=True)),
    (Queued("tick"),),
    Queued("hold", canceling=1),
)
GAP = lost_wakeup()
LONG_TRACE = long_trace(2_000, works=200)
LONG = QueueState("demo", "R", work_list=tuple(Queued(f"work_{number}") for number in range(200)))
ALONE = replace(GAP, steps=(replace(GAP.steps[0], state=State(0, {0: TaskState("R", "runs")})),))
CROWD = replace(
    GAP,
    tasks=tuple(TaskNote(number, f"a client with a long name {number}") for number in range(9)),
    steps=(
        replace(
            GAP.steps[2],
            place=None,
            state=replace(
                GAP.steps[2].state,
                tasks={number: TaskState("D", "waits for completion of something or other") for number in range(9)},
            ),
        ),
    ),
)
WAITS = {"quick one": [1e-5 * number for number in range(1, 101)], "slow <one>": [0.1] * 99 + [3.0]}
RATIOS = [Ratio("eight works", "a", "b", 8, 7, 9, True), Ratio("<one>", "a", "b", 1e-3, 1e-5, 5e4, False)]
PICTURES = {
    "waits": lambda: waits_picture(WAITS),
    "ratios": lambda: ratios_picture(RATIOS),
    "one ratio": lambda: ratios_picture(RATIOS[:1]),
    "empty": lambda: draw_queue(QueueState("", "")),
    "busy": lambda: draw_queue(BUSY),
    "long": lambda: draw_queue(LONG),
    "odd names": lambda: draw_queue(QueueState('<&"demo">', "S", work_list=(Queued("<lambda>"), Queued("a" * 99)))),
    "empty list": lambda: list_picture(ring()[0]),
    "list": lambda: list_picture(linked(3)),
    "long list": lambda: list_picture(linked(50)),
    "worker": lambda: struct_picture(kernel_struct("kthread_worker")),
    "kthread": lambda: struct_picture(kernel_struct("kthread")),
    "lanes": lambda: lanes_picture(GAP),
    "lanes at the start": lambda: lanes_picture(GAP, 0),
    "lanes before the start": lambda: lanes_picture(replace(GAP, steps=GAP.steps[:1], bug=None)),
    "lanes at a step": lambda: lanes_picture(GAP, 2),
    "long lanes": lambda: lanes_picture(LONG_TRACE, 1_000),
    "lanes with a long bug": lambda: lanes_picture(replace(GAP, bug=BugNote("deadlock", "so many words " * 60))),
    "moment": lambda: moment_picture(GAP, 2),
    "moment without workers": lambda: moment_picture(ALONE),
    "long moment": lambda: moment_picture(LONG_TRACE),
    "crowd": lambda: moment_picture(CROWD),
    "source": lambda: source_picture(GAP, 2),
    "no source": lambda: source_picture(replace(GAP, steps=CROWD.steps)),
    "course": lambda: course_picture(
        "So far: <nothing>",
        [Goal("00 the demo", "right", sign="✓"), Goal("a name " * 9, "words " * 9)],
        [Goal("list_head", "27 of 30 points", 0.9), Goal("solved", "all", 1)],
    ),
    "empty course": lambda: course_picture("To do", [], []),
    "work of 3.19": lambda: struct_picture(kernel_struct("kthread_work", "3.19")),
}


@pytest.mark.parametrize("make", PICTURES.values(), ids=PICTURES)
def test_every_picture_stands_alone_and_says_in_words_what_it_shows(make) -> None:
    picture = make()
    root = drawing(picture)
    assert root.attrib["role"] == "img"
    assert root.attrib["aria-label"] == picture.label == repr(picture)
    assert "<script" not in picture.svg
    assert not re.search(r"(?:href|src)=|url\(|\bid=", picture.svg)
    assert picture._repr_mimebundle_() == {"text/plain": picture.label, "text/html": picture.svg}


@pytest.mark.parametrize("make", PICTURES.values(), ids=PICTURES)
def test_every_picture_can_be_an_image_with_paper_and_words_of_its_own(make) -> None:
    picture = make()
    image = ET.fromstring(picture.still.replace(">", "/>"))
    kind, _, data = image.attrib["src"].partition(",")
    assert (image.tag, image.attrib["alt"], kind) == ("img", picture.label, "data:image/svg+xml;base64")
    root = ET.fromstring(b64decode(data))
    assert [one.tag for one in root][:2] == [f"{SVG}style", f"{SVG}rect"]
    assert root[1].attrib == {"width": "100%", "height": "100%", "style": "fill:var(--paper)"}
    assert len(list(root)) == len(list(drawing(picture))) + 1


@pytest.mark.parametrize("make", PICTURES.values(), ids=PICTURES)
def test_every_picture_is_the_same_each_time(make) -> None:
    assert make().svg == make().svg


@pytest.mark.parametrize("make", PICTURES.values(), ids=PICTURES)
def test_nothing_is_drawn_outside_the_picture(make) -> None:
    root = drawing(make())
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    for one in root.iter(f"{SVG}rect"):
        x, y, w, h = (float(one.attrib[name]) for name in ("x", "y", "width", "height"))
        assert 0 <= x <= x + w <= width
        assert 0 <= y <= y + h <= height
    for one in root.iter(f"{SVG}path"):
        for x, y in re.findall(r"([-\d.]+) ([-\d.]+)", one.attrib["d"]):
            assert 0 <= float(x) <= width
            assert 0 <= float(y) <= height
    for one in root.iter(f"{SVG}text"):
        assert 0 <= float(one.attrib["y"]) <= height
        if one.attrib.get("text-anchor") is None:
            letter = 6.7 if "small" in one.attrib.get("class", "") else 7.9
            assert float(one.attrib["x"]) + letter * len(one.text or "") <= width


@pytest.mark.parametrize("make", PICTURES.values(), ids=PICTURES)
def test_every_colour_comes_from_the_readers_theme(make) -> None:
    root = drawing(make())
    shapes = [one for one in root.iter() if one.tag != f"{SVG}style"]
    assert not [one for one in shapes if {"fill", "stroke", "style"} & set(one.attrib)]
    style = root.find(f"{SVG}style").text
    assert "prefers-color-scheme:dark" in style
    # Every rule begins inside the picture: the page's own text stays as it is.
    assert all(rule.strip(" {").startswith((".kwlab", "@media")) for rule in re.findall(r"[^{}]*\{(?=[^{])", style))


def test_the_queue_picture_in_words() -> None:
    assert draw_queue(BUSY).label == (
        "worker with thread demo (waiting); lock held by MainThread; work_list: A, flush; delayed_work_list: tick; "
        "current_work: hold (canceling 1)"
    )
    assert draw_queue(QueueState("", "")).label == (
        "worker with thread none; work_list: empty; delayed_work_list: empty; current_work: NULL"
    )


def test_the_queue_picture_shows_each_field_and_each_work() -> None:
    shown = texts(draw_queue(BUSY))
    assert shown[:6] == [*("struct kthread_worker", "lock", "work_list", "delayed_work_list", "current_work", "task")]
    assert {"held by MainThread", "A", "flush", "tick", "hold", "canceling 1", "thread demo   D (waiting)"} <= set(
        shown
    )


def test_a_flush_is_told_from_a_work_of_that_name_by_its_shape() -> None:
    frames = [
        len(list(drawing(draw_queue(QueueState("demo", "S", work_list=(Queued("flush", flush),)))).iter(f"{SVG}rect")))
        for flush in (False, True)
    ]
    assert frames[1] == frames[0] + 1


def test_a_long_queue_loses_its_middle() -> None:
    picture = draw_queue(LONG)
    assert "work_list: work_0, work_1, work_2, ... 195 more ..., work_198, work_199;" in picture.label
    assert "195 more" in texts(picture)
    assert len(picture.svg) < 8_000
    assert picture.svg.count("<rect") == draw_queue(QueueState("demo", "R", work_list=LONG.work_list[:6])).svg.count(
        "<rect"
    )


@pytest.mark.parametrize(
    ("number", "expected"),
    [(0, ([], 0, ())), (6, ([0, 1, 2, 3, 4, 5], 0, ())), (7, ([0, 1, 2], 2, [5, 6])), (9, ([0, 1, 2], 4, [7, 8]))],
)
def test_elision(number: int, expected: tuple) -> None:
    assert elided(list(range(number))) == expected


def test_clipping() -> None:
    assert clipped("kthread", 7) == "kthread"
    assert clipped("kthreads", 7) == "kthrea…"


def test_an_arrow_has_its_head_where_it_points() -> None:
    svg = Svg(100, 100)
    svg.arrow((10, 10), (50, 10))
    svg.arrow((10, 10), (10, 50), kind="back")
    assert 'd="M50 10L43 6L43 14Z"' in svg.picture("two arrows").svg
    assert 'class="backhead" d="M10 50L6 43L14 43Z"' in svg.picture("two arrows").svg


# ------------------------------------------------------------------------------------------- what is read of a worker


def test_a_worker_without_a_thread() -> None:
    worker = KthreadWorker()
    kthread_init_worker(worker)

    def flip(work: object) -> None: ...

    work = DEFINE_KTHREAD_WORK(flip)
    assert kthread_queue_work(worker, work)
    assert queue_state(worker) == QueueState("", "", work_list=(Queued("flip"),))
    with worker.lock:
        assert queue_state(worker).lock_holder == "MainThread"


@pytest.mark.threads
def test_a_worker_at_work() -> None:
    started, gate = init_completion(), init_completion()

    def hold() -> None:
        complete(started)
        wait_for_completion(gate)

    with Worker("demo") as demo:
        demo.queue(hold)
        wait_for_completion(started)
        demo.queue(print_nothing)
        dwork = DEFINE_KTHREAD_DELAYED_WORK(print_nothing)
        kthread_queue_delayed_work(demo.worker, dwork, 1_000_000)
        demo.worker.task.runtime.settle()
        assert queue_state(demo.worker) == QueueState(
            "demo", "D", "", (Queued("print_nothing"),), (Queued("print_nothing"),), Queued("hold")
        )
        assert queue_picture(demo).label == queue_picture(demo.worker).label
        complete(gate)
        kthread_cancel_delayed_work_sync(dwork)
        demo.flush()
        demo.worker.task.runtime.settle()
        assert queue_state(demo.worker) == QueueState("demo", "S")
    assert queue_state(demo.worker) == QueueState("", "", freed=True)
    assert queue_picture(demo).label == "a worker that was freed"


def print_nothing(work: object = None) -> None: ...


# ----------------------------------------------------------------------------------------------------------- lists


def test_a_list_in_words() -> None:
    head, entries = ring("A", "B", "C")
    assert list_picture(head, **entries).label == (
        "head points at itself; A points at itself; B points at itself; C points at itself"
    )
    list_add_tail(entries["A"], head)
    list_add_tail(entries["B"], head)
    assert list_picture(head, **entries).label == (
        "head: next A, prev B; A: next B, prev head; B: next head, prev A; C points at itself"
    )


def arrows(picture: Picture, kind: str) -> int:
    return sum(one.attrib["class"] == kind for one in drawing(picture).iter(f"{SVG}path"))


def test_every_entry_has_one_arrow_each_way() -> None:
    head, entries = ring("A", "B", "C")
    for entry in entries.values():
        list_add_tail(entry, head)
        picture = list_picture(head, **entries)
        assert (arrows(picture, "line"), arrows(picture, "back")) == (4, 4)


def test_a_damaged_list_is_drawn_as_it_is() -> None:
    head, entries = ring("A", "B")
    for entry in entries.values():
        list_add_tail(entry, head)
    INIT_LIST_HEAD(entries["A"])  # while it is linked
    assert list_picture(head, **entries).label == "head: next A, prev B; A points at itself; B: next head, prev A"


def test_who_points_at_itself_does_so_below_the_arrows_that_pass() -> None:
    head, entries = ring("A", "B", "C")
    for entry in entries.values():
        list_add_tail(entry, head)
    INIT_LIST_HEAD(entries["B"])
    tops = [
        min(float(place.split()[1]) for place in re.findall(r"[\d.]+ [\d.]+", one.attrib["d"]))
        for one in drawing(list_picture(head, **entries)).iter(f"{SVG}path")
        if one.attrib["class"] == "line"
    ]
    passing, itself = sorted(tops)[:2]  # C to the head, over B; and B
    assert passing < itself < 56  # both above the boxes, never at one height


def test_a_list_that_was_never_initialised() -> None:
    assert list_picture(ListHead()).label == "head: next NULL, prev NULL"


def test_an_entry_without_a_name_is_called_after_its_work_or_by_number() -> None:
    head, _ = ring()
    list_add_tail(DEFINE_KTHREAD_WORK(print_nothing).node, head)
    _, entries = ring("other")
    list_add_tail(entries["other"], head)
    assert list_picture(head).label == (
        "head: next print_nothing, prev #2; print_nothing: next #2, prev head; #2: next head, prev print_nothing"
    )


def test_a_long_list_loses_its_middle() -> None:
    head, entries = ring(*(f"e{number}" for number in range(50)))
    for entry in entries.values():
        list_add_tail(entry, head)
    picture = list_picture(head, **entries)
    assert "e2: next e3, prev e1; 45 more entries; e48: next e49, prev e47" in picture.label
    assert (arrows(picture, "line"), arrows(picture, "back")) == (7, 7)
    assert float(drawing(picture).attrib["width"]) < 1_000


# --------------------------------------------------------------------------------------------------------- structs


def test_a_struct_in_words() -> None:
    assert struct_picture(kernel_struct("kthread_work")).label == (
        "struct kthread_work of Linux 6.18, 40 bytes, 1 cache line of 64 bytes: node at 0, 16 bytes; func at 16, 8 "
        "bytes; worker at 24, 8 bytes; canceling at 32, 4 bytes; 4 bytes unused at 36"
    )


@pytest.mark.parametrize("name", ["kthread_worker", "kthread_work", "kthread", "completion"])
def test_every_byte_of_a_struct_is_drawn_once(name: str) -> None:
    layout = kernel_struct(name)
    area = sum(
        float(one.attrib["width"]) * float(one.attrib["height"])
        for one in drawing(struct_picture(layout)).iter(f"{SVG}rect")
        if one.attrib["class"] in ("fill", "gap")
    )
    assert area == layout.size * 52 * 26


def test_a_label_is_quoted() -> None:
    assert unescape(draw_queue(QueueState('"><b>', "S")).svg.split('aria-label="')[1].split('"')[0]).startswith(
        'worker with thread "><b> (sleeping)'
    )


def test_the_picture_in_the_readme_is_drawn_by_this_code(project: Path) -> None:
    state = QueueState("demo", "R", work_list=tuple(map(Queued, ("rx", "tx", "stats"))), current_work=Queued("reset"))
    drawn = draw_queue(state).svg + "\n"
    assert (project / "docs/queue.svg").read_text(encoding="utf-8") == drawn, (
        f"write this into docs/queue.svg:\n{drawn}"
    )


def test_the_legend_says_what_the_mark_of_a_preemption_is() -> None:
    assert ">preempted, and the framed step ran instead<" in lanes_picture(GAP).svg
    assert "framed" not in lanes_picture(ALONE).svg

"""Traces of real kernels: no line is lost, every number is that of the trace, and the exports say the same."""

import gzip
import io
import json
import random
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as pb

from kwlab import Worker, record
from kwlab.scenario.conformance import recorded
from kwlab.trace.analysis import Analysis, analyse
from kwlab.trace.chrome import write_chrome_json
from kwlab.trace.line import LineError, parse_event
from kwlab.trace.match import FLUSH, Run
from kwlab.trace.perfetto import write_perfetto
from kwlab.trace.reader import Counts, TraceError, TraceReader
from kwlab.trace.recorded import recorded_trace, recorded_traces
from kwlab.trace.sample import Sample, Steps

FILES = {name: recorded_trace(name) for name in recorded_traces()}
QUEUE, START, END = (f"sched_kthread_work_{what}" for what in ("queue_work", "execute_start", "execute_end"))


def text_of(path: Path) -> str:
    data = path.read_bytes()
    return (gzip.decompress(data) if path.suffix == ".gz" else data).decode()


def line(name: str, payload: str, at: float, task: str = "main", pid: int = 7, flags: str = ".....") -> str:
    return f"{task:>16}-{pid:<7} [000] {flags} {at:12.6f}: {name}: {payload}\n"


def queue(at: float, work: str, function: str = "fn", worker: str = "w1", **more: object) -> str:
    return line(QUEUE, f"work struct={work} function={function} worker={worker}", at, **more)


def start(at: float, work: str, function: str = "fn", pid: int = 9) -> str:
    return line(START, f"work struct {work}: function {function}", at, "worker", pid)


def end(at: float, work: str, function: str = "fn", pid: int = 9) -> str:
    return line(END, f"work struct {work}: function {function}", at, "worker", pid)


def analysed(*lines: str) -> Analysis:
    return analyse(TraceReader(lines, strict=True))


def adds_up(counts: Counts) -> bool:
    return counts.lines == (counts.events + counts.comments + counts.lost_lines + counts.stack_lines + counts.skipped)


# ------------------------------------------------------------------------------------------------------------ the lines


def test_there_are_recordings_of_two_kernels() -> None:
    assert len(FILES) > 55
    assert {name.partition("/")[0] for name in FILES} == {"linux-6.1", "linux-6.18"}
    with pytest.raises(ValueError, match=r"no recorded trace 'linux-6\.1/nothing'"):
        recorded_trace("linux-6.1/nothing")


@pytest.mark.parametrize("name", FILES)
def test_no_line_of_a_recording_is_lost_and_every_event_reads_as_it_was_printed(name: str) -> None:
    wanted = [one for one in text_of(FILES[name]).splitlines() if one and not one.startswith("#")]
    reader = TraceReader(FILES[name], strict=True)
    assert [str(event) for event in reader] == wanted
    assert adds_up(reader.counts)
    assert reader.counts.events == len(wanted)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("          umount-12871   [001] d..1.   768.901397: ", ("umount", 12871, 1, "d..1.", 768.901397)),
        ("          umount-12871   (  12871) [001] d..1.   768.901397: ", ("umount", 12871, 1, "d..1.", 768.901397)),
        ("          umount-12871   (-------) [001] d..1.   768.901397: ", ("umount", 12871, 1, "d..1.", 768.901397)),
        ("          umount-12871   [001] dN.1   768.901397: ", ("umount", 12871, 1, "dN.1", 768.901397)),  # before 5.14
        ("          umount-12871   [001]   768.901397: ", ("umount", 12871, 1, "", 768.901397)),  # noirq-info
        ("          umount-12871 [001] d..1.   768.901397123: ", ("umount", 12871, 1, "d..1.", 768.901397123)),
        (
            "          umount-12871   [001] d..1. 768901397: ",
            ("umount", 12871, 1, "d..1.", 768901397.0),
        ),  # another clock
        ("  kworker/u8:2-ev-3 [1023] dNh2.  0.000001: ", ("kworker/u8:2-ev", 3, 1023, "dNh2.", 0.000001)),
        ("           <...>-3     [000] .....  1.000000: ", ("<...>", 3, 0, ".....", 1.0)),
        ("  a b-1 [0]-5     [000] .....  1.000000: ", ("a b-1 [0]", 5, 0, ".....", 1.0)),
    ],
)
def test_the_columns_of_other_options_and_versions(text: str, wanted: tuple[object, ...]) -> None:
    event = parse_event(f"{text}{START}: work struct 0001: function wait_rcu_exp_gp\n")
    assert (event.task, event.pid, event.cpu, event.flags, event.time) == wanted
    assert event.fields == {"work": "0001", "function": "wait_rcu_exp_gp"}


def test_an_event_that_is_not_looked_into_keeps_its_text() -> None:
    event = parse_event(line("tracing_mark_write", "hello: world", 1.0))
    assert (event.name, event.fields) == ("tracing_mark_write", {"text": "hello: world"})


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("rubbish", "is no line of a trace"),
        (line(QUEUE, "work=1", 1.0), f"what it says is not what {QUEUE} says"),
        (line("sched_waking", f"comm=a pid={'1' * 5000} prio=1 target_cpu=000", 1.0), "a number that is too long"),
    ],
)
def test_a_line_that_cannot_be_read_says_why(text: str, why: str) -> None:
    with pytest.raises(LineError, match=why):
        parse_event(text)


def test_lost_events_comments_stacks_and_rubbish_are_counted_apart() -> None:
    lines = [
        "# tracer: nop\n",
        "\n",
        start(1, "a"),
        "CPU:1 [LOST 12 EVENTS]\n",
        "CPU:0 [LOST EVENTS]\n",
        "CPU:0 [3 EVENTS DROPPED]\n",
        line("kernel_stack", "<stack trace>", 2).replace("kernel_stack: ", ""),
        " => kthread_insert_work\n",
        "rubbish\n",
    ]
    reader = TraceReader(lines)
    assert [event.name for event in reader] == [START]
    counts = reader.counts
    assert (counts.comments, counts.lost_lines, counts.lost_events, counts.stack_lines) == (2, 3, 15, 2)
    assert counts.first_skipped == [(9, "is no line of a trace")]
    assert adds_up(counts)
    assert str(counts) == (
        "9 lines, 1 events; the kernel lost 15 events (3 times); "
        "1 lines skipped (the first is line 9: it is no line of a trace)"
    )


def test_strict_names_file_line_and_text(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text(start(1, "a") + "rubbish\n")
    with pytest.raises(TraceError, match=r"x.txt: line 2: is no line of a trace: 'rubbish'"):
        list(TraceReader(path, strict=True))


def test_a_damaged_gzip_file_is_an_error_with_a_line(tmp_path: Path) -> None:
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress((start(1, "a") * 5000).encode())[:-200])
    with pytest.raises(TraceError, match=r"x.gz: line \d+: cannot be read"):
        list(TraceReader(path))
    with pytest.raises(TraceError, match=r"none.txt: line 1: cannot be read: No such file"):
        list(TraceReader(tmp_path / "none.txt"))


@pytest.mark.slow
def test_a_thousand_mutated_files_lose_nothing_in_silence(tmp_path: Path) -> None:
    """Mutations of bytes, lines and whole ends. Every line is an event or counted; every error names a line."""
    rng, errors, skipped = random.Random(7), 0, 0
    sources = [path.read_bytes() for path in FILES.values() if path.stat().st_size < 20_000]
    path = tmp_path / "mutant"
    for _ in range(1000):
        data = bytearray(rng.choice(sources))
        for _ in range(rng.randrange(1, 12)):
            place = rng.randrange(len(data) + 1)
            kind = rng.randrange(5)
            if kind == 0:
                data[place : place + 1] = rng.randbytes(1)
            elif kind == 1:
                del data[place : place + rng.randrange(1, 300)]
            elif kind == 2:
                data[place:place] = rng.randbytes(rng.randrange(1, 60))
            elif kind == 3:
                data[place:place] = rng.choice((b"-1 [", b"\n", b"\r", b"9" * 6000, b"]: ", b"\x85", b"\x00" * 9, b"#"))
            else:
                data = data[: place + 1]
        path.write_bytes(data)
        reader = TraceReader(path)
        try:
            analysis = analyse(reader)
        except TraceError as error:
            said = str(error)
        else:
            said = ""
        if said:
            assert re.search(r": line \d+:", said)
            errors += 1
            continue
        json.dumps(analysis.as_json())
        assert adds_up(reader.counts)
        assert sum(analysis.events.values()) == reader.counts.events
        if not data.startswith(b"\x1f\x8b"):
            pieces = [piece for piece in bytes(data).split(b"\n") if piece]
            assert reader.counts.lines >= len(pieces)
        skipped += bool(reader.counts.skipped)
    assert errors > 5
    assert skipped > 300


def test_a_long_file_is_read_in_bounded_memory_and_with_progress(tmp_path: Path) -> None:
    import tracemalloc

    path, seen = tmp_path / "long.txt", []
    with path.open("w") as file:
        for number in range(15_000):
            file.write(
                queue(number, f"{number:x}") + start(number + 0.1, f"{number:x}") + end(number + 0.2, f"{number:x}")
            )
    list(TraceReader(path))  # what is made once
    tracemalloc.start()
    reader = TraceReader(path, progress=lambda done, size: seen.append((done, size)))
    count = sum(1 for _ in reader)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 45_000
    assert peak < 2_000_000, f"{peak:,} bytes for a file of {path.stat().st_size:,}"
    assert seen[-1] == (path.stat().st_size, path.stat().st_size)
    assert len(seen) > 5
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


@pytest.mark.skipif(not shutil.which("trace-cmd"), reason="needs Debian's trace-cmd: make setup-ci")
def test_a_file_that_trace_cmd_cannot_read_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "trace.dat"
    path.write_bytes(b"\x17\x08\x44tracing6\x00 and no more")
    with pytest.raises(TraceError, match=r"trace.dat: line 0: trace-cmd cannot read on: the file is damaged"):
        list(TraceReader(path))


def test_without_trace_cmd_a_trace_dat_says_what_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "trace.dat"
    path.write_bytes(b"\x17\x08\x44tracing6\x00")
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(TraceError, match="which the program trace-cmd reads; it is not installed here"):
        list(TraceReader(path))


# --------------------------------------------------------------------------------------------------------- the analysis


def test_delay_run_time_depth_and_who_waited_for_whom() -> None:
    analysis = analysed(
        queue(1.0, "a", "slow"),
        start(1.5, "a", "slow"),
        queue(2.0, "b", "quick", task="irq", flags="d.h1."),
        queue(2.5, "c", "quick"),
        end(4.5, "a", "slow"),
        start(5.0, "b", "quick"),
        end(5.25, "b", "quick"),
        start(5.5, "c", "quick"),
        end(5.75, "c", "quick"),
    )
    (worker,) = analysis.workers.values()
    assert (worker.address, worker.thread, worker.pid, worker.runs) == ("w1", "worker", 9, 3)
    slow, quick = worker.functions["slow"], worker.functions["quick"]
    assert (slow.delay.values, slow.time.values, slow.behind) == ([0.5], [3.0], {})
    assert (quick.delay.values, quick.time.values) == ([3.0, 3.0], [0.25, 0.25])
    assert quick.behind == {"slow": 2.5 + 2.0, "quick": 0.25}
    assert quick.queued_by == Counter(irq=1, main=1)
    assert worker.depth.points == [(1.0, 1), (1.5, 0), (2.0, 1), (2.5, 2), (5.0, 1), (5.5, 0)]
    assert worker.depth.most == 2
    assert [(delay, run.function) for delay, _, run in analysis.slowest] == [
        (3.0, "quick"),
        (3.0, "quick"),
        (0.5, "slow"),
    ]


def test_a_work_that_is_queued_again_without_a_run_was_taken_back() -> None:
    analysis = analysed(queue(1, "a"), queue(2, "a"), start(3, "a"), end(4, "a"))
    one = analysis.workers["w1"].functions["fn"]
    assert (one.queued, one.runs, one.taken_back, one.delay.values) == (2, 1, 1, [1.0])


def test_a_work_that_is_overtaken_was_taken_back_but_a_flush_may_overtake() -> None:
    taken = analysed(queue(1, "a", "lost"), queue(2, "b"), start(3, "b"), end(4, "b"))
    assert taken.workers["w1"].functions["lost"].taken_back == 1
    assert taken.workers["w1"].still_queued == 0
    flush = analysed(queue(1, "a"), queue(2, "f", FLUSH), start(3, "f", FLUSH), end(4, "f", FLUSH), start(5, "a"))
    assert flush.workers["w1"].functions["fn"].taken_back == 0
    assert flush.workers["w1"].functions["fn"].runs == 1


def test_a_work_that_runs_after_all_was_not_taken_back() -> None:
    analysis = analysed(queue(1, "a"), queue(2, "b"), start(3, "b"), end(4, "b"), start(5, "a"), end(6, "a"))
    one = analysis.workers["w1"].functions["fn"]
    assert (one.taken_back, one.runs) == (0, 2)
    assert sorted(one.delay.values) == [1.0, 4.0]


def test_queued_while_it_ran_and_still_queued_at_the_end() -> None:
    analysis = analysed(queue(1, "a"), start(2, "a"), queue(3, "a"))
    one = analysis.workers["w1"].functions["fn"]
    assert (one.queued, one.again, one.runs) == (2, 1, 1)
    assert (one.time.count, analysis.workers["w1"].still_queued) == (0, 1)
    assert analysis.runs[0].ended is None


def test_a_trace_that_begins_in_the_middle() -> None:
    analysis = analysed(end(1, "a"), start(2, "b"), end(3, "b"), queue(4, "c"), start(5, "c"), end(6, "c"))
    assert analysis.workers["?"].functions["fn"].delay.count == 0
    assert analysis.workers["w1"].functions["fn"].delay.values == [1.0]


def test_after_lost_events_nothing_is_guessed() -> None:
    lines = [queue(1, "a"), "CPU:0 [LOST 5 EVENTS]\n", queue(2, "a"), start(3, "a"), end(4, "a")]
    analysis = analyse(TraceReader(lines))
    assert analysis.forgotten == 1
    assert analysis.workers["w1"].functions["fn"].taken_back == 0


@pytest.mark.parametrize("path", recorded(), ids=lambda path: path.stem)
def test_the_analysis_of_a_recorded_scenario_agrees_with_the_scenario(path: Path) -> None:
    from kwlab.scenario.load import load

    scenario = load(path)
    if scenario.trace is None or f"linux-6.1/{scenario.name}" not in FILES:
        pytest.skip("its trace differs from run to run, or it has none")
    analysis = analyse(TraceReader(FILES[f"linux-6.1/{scenario.name}"], strict=True))
    kinds = Counter(kind for kind, _ in scenario.trace)
    if scenario.before:
        return  # the trace file begins before the scenario does
    functions = [one for worker in analysis.workers.values() for one in worker.functions.values()]
    assert sum(one.queued for one in functions) == kinds["queue"]
    assert sum(one.runs for one in functions) == kinds["start"]
    left = Counter(work for kind, work in scenario.trace if kind == "queue")
    left.subtract(work for kind, work in scenario.trace if kind == "start")
    taken = sum(one.taken_back for one in functions) + sum(w.still_queued for w in analysis.workers.values())
    rescued = sum(call.operation.name == "rescue" for call in scenario.steps)
    assert taken == sum(left.values()), (taken, left, rescued)


def test_the_live_recording_has_the_known_latencies() -> None:
    idle, loaded = (analyse(TraceReader(FILES[f"linux-6.18/{name}"], strict=True)) for name in ("idle", "loaded"))
    for analysis, median in ((idle, 33e-6), (loaded, 18e-6)):
        (worker,) = analysis.workers.values()
        assert (worker.thread, worker.runs) == ("rcu_exp_gp_kthr", 40)
        assert worker.delay.median == pytest.approx(median, abs=1.5e-6)
        assert 8e-6 < worker.delay.least < 12e-6
        assert 8e-3 < worker.delay.most < 26e-3
        assert worker.wakeups >= 40


def test_kwlabs_own_trace_is_read_by_the_same_analysis() -> None:
    with record() as events, Worker("demo") as worker:
        for _ in range(3):
            worker.queue(int)
            worker.flush()
    analysis = analyse(events.events)
    (one,) = analysis.workers.values()
    assert one.thread == "demo"
    assert one.functions["int"].runs == 3
    assert one.functions[FLUSH].runs >= 3
    assert one.delay.count == one.runs
    assert one.delay.least >= 0


def test_a_sample_is_exact_while_it_is_small_and_bounded_when_it_is_not() -> None:
    few, many = Sample(), Sample()
    for value in (3.0, 1.0, 2.0):
        few.add(value)
    assert few.as_json() == {"count": 3, "min": 1.0, "median": 2.0, "p99": 3.0, "max": 3.0}
    for value in range(100_000):
        many.add(float(value))
    assert (many.count, many.least, many.most, many.total) == (100_000, 0.0, 99_999.0, sum(range(100_000)))
    assert len(many.values) == 10_000
    assert many.median == pytest.approx(50_000, rel=0.05)
    steps = Steps()
    for number in range(50_000):
        steps.add(number, 77 if number == 31_313 else number % 3)
    assert len(steps.points) <= 4_001
    assert max(depth for _, depth in steps.points) == steps.most == 77
    assert steps.points == sorted(steps.points)


# ---------------------------------------------------------------------------------------------------------- the exports


def runs_of(path: Path) -> list[Run]:
    return sorted(analyse(TraceReader(path)).runs, key=lambda run: run.started)


@pytest.mark.parametrize("name", ["linux-6.1/f3_flush_pending", "linux-6.1/c_requeue_running", "linux-6.18/loaded"])
def test_perfetto_reads_back_the_same_tracks_runs_times_and_flows(name: str) -> None:
    file, runs = io.BytesIO(), runs_of(FILES[name])
    written = write_perfetto(TraceReader(FILES[name]), file)
    trace = pb.Trace.FromString(file.getvalue())
    assert len(trace.packet) == written
    tracks = {p.track_descriptor.uuid: p.track_descriptor for p in trace.packet if p.HasField("track_descriptor")}
    threads = {track.thread.tid: track.thread.thread_name for track in tracks.values() if track.HasField("thread")}
    assert threads.items() >= {run.pid: run.thread for run in runs}.items()
    open_slices: dict[int, list[tuple[int, str]]] = {}
    seen, flows = [], {}
    packets = [p for p in trace.packet if p.HasField("track_event")]
    for packet in sorted(packets, key=lambda packet: packet.timestamp):
        event = packet.track_event
        assert event.track_uuid in tracks
        if event.type == pb.TrackEvent.TYPE_INSTANT and event.flow_ids:
            flows[event.flow_ids[0]] = packet.timestamp
        elif event.type == pb.TrackEvent.TYPE_SLICE_BEGIN:
            for flow in event.terminating_flow_ids:
                assert flows.pop(flow) <= packet.timestamp
            open_slices.setdefault(event.track_uuid, []).append((packet.timestamp, event.name))
            assert len(open_slices[event.track_uuid]) == 1, "a worker runs one work at a time"
        elif event.type == pb.TrackEvent.TYPE_SLICE_END:
            begun, function = open_slices[event.track_uuid].pop()
            seen.append((begun, packet.timestamp, function, tracks[event.track_uuid].thread.tid))
    assert not any(open_slices.values())
    assert not flows, "every queue event has its run"
    wanted = [(round(run.started * 1e9), round((run.ended or 0) * 1e9), run.function, run.pid) for run in runs]
    assert seen == wanted
    counters = [p.track_event.counter_value for p in packets if p.track_event.type == pb.TrackEvent.TYPE_COUNTER]
    assert max(counters) == max(w.depth.most for w in analyse(TraceReader(FILES[name])).workers.values())
    assert counters[-1] == 0


def test_chrome_json_has_the_same_runs_and_every_arrow_has_both_ends() -> None:
    path, file = FILES["linux-6.1/f3_flush_pending"], io.StringIO()
    count = write_chrome_json(TraceReader(path), file)
    entries = json.loads(file.getvalue())["traceEvents"]
    assert len(entries) == count
    boxes = [(one["ts"], one["ts"] + one["dur"], one["name"], one["tid"]) for one in entries if one["ph"] == "X"]
    assert boxes == [
        (pytest.approx(run.started * 1e6), pytest.approx((run.ended or 0) * 1e6), run.function, run.pid)
        for run in runs_of(path)
    ]
    assert {one["id"] for one in entries if one["ph"] == "s"} == {one["id"] for one in entries if one["ph"] == "f"}
    lines = [queue(1, "a"), "CPU:0 [LOST 5 EVENTS]\n", queue(2, "a"), start(3, "a"), end(4, "a")]
    lossy = io.StringIO()
    write_chrome_json(TraceReader(lines), lossy)
    assert "taken back" not in lossy.getvalue()
    empty = io.StringIO()
    assert write_chrome_json([], empty) == 0
    assert json.loads(empty.getvalue())["traceEvents"] == []


# ----------------------------------------------------------------------------------------------------- the command line


def kwlab(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    import sys

    return subprocess.run(
        [sys.executable, "-m", "kwlab.cli", *map(str, arguments)], capture_output=True, text=True, timeout=60
    )


def test_trace_show_prints_a_summary_and_writes_report_and_exports(tmp_path: Path) -> None:
    path = FILES["linux-6.1/f3_flush_pending"]
    html, perfetto, chrome = tmp_path / "r.html", tmp_path / "r.pftrace", tmp_path / "r.json"
    done = kwlab("trace", "show", path, "--html", html, "--perfetto", perfetto, "--chrome", chrome)
    assert done.returncode == 0, done.stderr
    assert "30 lines, 18 events" in done.stdout
    assert re.search(r"kwo_A +151 +6 +4", done.stdout)
    page = html.read_text()
    assert page.count('<svg class="kwlab"') == page.count('role="img"') == 3
    assert "kwo_A: 6 runs, busy 425 ms" in page
    assert "<script" not in page
    assert pb.Trace.FromString(perfetto.read_bytes()).packet
    assert json.loads(chrome.read_text())["traceEvents"]


def test_names_in_a_trace_are_escaped_in_the_report(tmp_path: Path) -> None:
    path, html = tmp_path / "x.txt", tmp_path / "x.html"
    path.write_text(queue(1, "a", "<script>x</script>") + start(2, "a", "<script>x</script>") + end(3, "a"))
    assert kwlab("trace", "show", path, "--html", html).returncode == 0
    assert "<script" not in html.read_text()
    assert "&lt;script&gt;" in html.read_text()


def test_trace_show_says_what_is_wrong_with_a_file(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text("rubbish\n")
    done = kwlab("trace", "show", "--strict", path)
    assert (done.returncode, done.stderr) == (2, f"{path}: line 1: is no line of a trace: 'rubbish'\n")
    done = kwlab("trace", "show", tmp_path / "none")
    assert done.returncode == 2
    assert "No such file" in done.stderr
    done = kwlab("trace", "show", "--json", path)
    assert json.loads(done.stdout)["counts"]["skipped"] == 1

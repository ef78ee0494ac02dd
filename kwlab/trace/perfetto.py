"""Export to Perfetto's protobuf format (protos/perfetto/trace/trace_packet.proto), written with its own package.

A track for each thread with its runs as slices, instants where works were queued, flows from there to the runs, and a
counter track for the depth of each queue.
"""

import itertools
from collections.abc import Iterable, Iterator
from typing import IO, Any

from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as pb

from kwlab.trace.export import nanoseconds, what_happened
from kwlab.trace.match import Queued, Run, TakenBack
from kwlab.tracepoint import Event

__all__ = ["write_perfetto"]

SEQUENCE = 1
COUNTERS = 1 << 40  # track numbers of counters begin here, above all pids
CLOCK = 6  # BUILTIN_CLOCK_BOOTTIME: what the viewer takes as the trace's own time


def write_perfetto(events: Iterable[Event], file: IO[bytes]) -> int:
    """Write `events` to `file`; how many packets were written. Packet by packet: a trace is the sum of its parts."""
    written = 0
    for packet in _Packets().of(events):
        file.write(pb.Trace(packet=[packet]).SerializeToString())
        written += 1
    return written


class _Packets:
    def __init__(self) -> None:
        self._tracks: set[int] = set()
        self._counters: dict[str, int] = {}
        self._flows: dict[Queued, int] = {}
        self._numbers = itertools.count(1)

    def of(self, events: Iterable[Event]) -> Iterator[Any]:
        for what in what_happened(events):
            if isinstance(what, Queued):
                yield from self._thread(what.by_pid, what.by)
                self._flows[what] = next(self._numbers)
                packet = _event(what.time, what.by_pid, pb.TrackEvent.TYPE_INSTANT, f"queue {what.function}")
                packet.track_event.flow_ids.append(self._flows[what])
                _annotate(packet, work=what.work, worker=what.worker)
                yield packet
            elif isinstance(what, Run):
                yield from self._run(what)
            elif isinstance(what, TakenBack):
                self._flows.pop(what.queued, None)
                name = f"{what.queued.function} was taken back"
                yield _event(what.time, what.queued.by_pid, pb.TrackEvent.TYPE_INSTANT, name)
            else:
                yield from self._depth(*what)

    def _run(self, run: Run) -> Iterator[Any]:
        yield from self._thread(run.pid, run.thread)
        packet = _event(run.started, run.pid, pb.TrackEvent.TYPE_SLICE_BEGIN, run.function)
        if run.queued is not None and (flow := self._flows.pop(run.queued, None)):
            packet.track_event.terminating_flow_ids.append(flow)
        _annotate(packet, work=run.work, worker=run.worker)
        yield packet
        if run.ended is not None:
            yield _event(run.ended, run.pid, pb.TrackEvent.TYPE_SLICE_END)

    def _thread(self, pid: int, name: str) -> Iterator[Any]:
        """The thread's track, the first time it is needed. The swapper of every CPU has pid 0: one track for all."""
        if pid not in self._tracks:
            self._tracks.add(pid)
            packet = _packet(0)
            packet.track_descriptor.uuid = pid + 1
            packet.track_descriptor.name = f"{name} {pid}"
            packet.track_descriptor.thread.pid = packet.track_descriptor.thread.tid = pid
            packet.track_descriptor.thread.thread_name = name
            yield packet

    def _depth(self, time: float, worker: str, depth: int) -> Iterator[Any]:
        if worker not in self._counters:
            self._counters[worker] = COUNTERS + len(self._counters)
            packet = _packet(0)
            packet.track_descriptor.uuid = self._counters[worker]
            packet.track_descriptor.name = f"works waiting for {worker}"
            packet.track_descriptor.counter.unit_name = "works"
            yield packet
        packet = _packet(time)
        packet.track_event.type = pb.TrackEvent.TYPE_COUNTER
        packet.track_event.track_uuid = self._counters[worker]
        packet.track_event.counter_value = depth
        yield packet


def _packet(time: float) -> Any:
    packet = pb.TracePacket()
    packet.timestamp = nanoseconds(time)
    packet.timestamp_clock_id = CLOCK
    packet.trusted_packet_sequence_id = SEQUENCE
    return packet


def _event(time: float, pid: int, kind: int, name: str = "") -> Any:
    packet = _packet(time)
    packet.track_event.type = kind
    packet.track_event.track_uuid = pid + 1
    if name:
        packet.track_event.name = name
    return packet


def _annotate(packet: Any, **values: str) -> None:
    for name, value in values.items():
        annotation = packet.track_event.debug_annotations.add()
        annotation.name, annotation.string_value = name, value

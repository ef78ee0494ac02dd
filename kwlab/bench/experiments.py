"""The experiments by name. Each takes a `Size` and gives one or more results."""

from collections.abc import Callable

from kwlab.bench.busy import busy
from kwlab.bench.cpu import cpu
from kwlab.bench.disk import disk
from kwlab.bench.explore import explore
from kwlab.bench.gil import gil
from kwlab.bench.kernel import kernel
from kwlab.bench.latency import latency
from kwlab.bench.memory import memory
from kwlab.bench.neighbour import neighbour
from kwlab.bench.order import coalescing, order
from kwlab.bench.parallel import parallel
from kwlab.bench.parser import parser
from kwlab.bench.results import Result
from kwlab.bench.size import FULL, QUICK, Size
from kwlab.bench.threads import creation, life, pinning
from kwlab.bench.throughput import growth, throughput

__all__ = ["EXPERIMENTS", "FULL", "OF_TOOLS", "OF_WORKERS", "QUICK", "Size"]

Experiment = Callable[[Size], list[Result]]

OF_WORKERS: dict[str, Experiment] = {
    "throughput": throughput,
    "latency": latency,
    "kernel": kernel,
    "memory": memory,
    "life": life,
    "creation": creation,
    "growth": growth,
    "pinning": pinning,
    "neighbour": neighbour,
    "busy": busy,
    "gil": gil,
    "cpu": cpu,
    "disk": disk,
    "order": order,
    "coalescing": coalescing,
    "parallel": parallel,
}
"""What workers buy and cost."""

OF_TOOLS: dict[str, Experiment] = {"explore": explore, "parser": parser}
"""What our own tools cost; measured only if they are asked for."""

EXPERIMENTS = OF_WORKERS | OF_TOOLS

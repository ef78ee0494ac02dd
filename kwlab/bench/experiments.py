"""The experiments by name. Each takes a `Size` and gives one or more results."""

from collections.abc import Callable

from kwlab.bench.explore import explore
from kwlab.bench.latency import latency
from kwlab.bench.memory import memory
from kwlab.bench.neighbour import neighbour
from kwlab.bench.order import coalescing, order
from kwlab.bench.parallel import parallel
from kwlab.bench.parser import parser
from kwlab.bench.results import Result
from kwlab.bench.size import FULL, QUICK, Size
from kwlab.bench.threads import life, pinning
from kwlab.bench.throughput import growth, throughput

__all__ = ["EXPERIMENTS", "FULL", "QUICK", "Size"]

EXPERIMENTS: dict[str, Callable[[Size], list[Result]]] = {
    "throughput": throughput,
    "latency": latency,
    "memory": memory,
    "life": life,
    "growth": growth,
    "pinning": pinning,
    "neighbour": neighbour,
    "order": order,
    "coalescing": coalescing,
    "parallel": parallel,
    "explore": explore,
    "parser": parser,
}

"""Measurements of the worker beside thread pools, an event loop, a thread in C and the kernel's own worker.

The rules: contestants take turns within one process, in an order that changes from round to round; only ratios of one
and the same round are judged; their median comes with an interval; nobody wins inside the noise.
"""

from kwlab.bench.experiments import EXPERIMENTS, FULL, QUICK, Size
from kwlab.bench.machine import machine
from kwlab.bench.results import Comparison, Observation, Target
from kwlab.bench.statistics import bootstrap

__all__ = ["EXPERIMENTS", "FULL", "QUICK", "Comparison", "Observation", "Size", "Target", "bootstrap", "machine"]

"""Measurements of the worker beside `concurrent.futures.ThreadPoolExecutor`: ratios from one run, never bare times."""

from kwlab.bench.figures import Figure, bootstrap, machine
from kwlab.bench.foundation import EXPERIMENTS, Size

__all__ = ["EXPERIMENTS", "Figure", "Size", "bootstrap", "machine"]

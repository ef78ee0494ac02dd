"""Traces of real kernels: reading them, finding out what every worker did, and handing them to other tools.

The events are the `Event` objects of `kwlab.tracepoint`, so what reads a kernel's trace reads kwlab's own as well.
"""

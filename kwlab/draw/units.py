"""Quantities as people write them."""

__all__ = ["quantity", "seconds"]


def seconds(value: float) -> str:
    """``0.00000071`` is ``710 ns``."""
    for factor, name in ((1e9, "ns"), (1e6, "µs"), (1e3, "ms")):
        if float(f"{value * factor:.3g}") < 1000:
            return f"{value * factor:.3g} {name}"
    return f"{value:.3g} s"


def quantity(value: float, unit: str) -> str:
    """`value` in `unit`: seconds ("s") as above, anything else with thousands set apart: ``1,769 B``."""
    return seconds(value) if unit == "s" else f"{value:,.0f} {unit}"

"""The same execution once more, for somebody who looks at it closer than a search can afford to."""

from kwlab.explore.tso import StoreBuffers
from kwlab.runtime.model import ModelRuntime
from kwlab.runtime.model_objects import ModelTask

__all__ = ["again"]


def again(first: ModelRuntime) -> ModelRuntime:
    """A runtime that takes the steps that `first` took, with the same memory, and ends where they end."""
    steps = iter(first.schedule)

    def choose(enabled: list[ModelTask], me: ModelTask) -> ModelTask | None:
        wanted = next(steps, None)
        return next((task for task in enabled if task.id == wanted), None)

    runtime = ModelRuntime(choose, first.carriers, every_step=True, limit=first.limit, warnings_end=first.warnings_end)
    if first.stores is not None:
        StoreBuffers(runtime).attach()
    return runtime

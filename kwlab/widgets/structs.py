"""`StructExplorer`: the worker's structs in the kernel that runs here, and in others."""

import ipywidgets

from kwlab.draw.layout import struct_picture
from kwlab.draw.svg import Picture
from kwlab.host.structs import KERNELS, STRUCTS, kernel_struct
from kwlab.widgets.pictured import Pictured

__all__ = ["StructExplorer"]


class StructExplorer(Pictured):
    """Choose a struct and a kernel; the picture follows. Kernels that do not know the struct are not offered."""

    def __init__(self, name: str = "kthread_worker") -> None:
        super().__init__()
        self._name = ipywidgets.Dropdown(options=STRUCTS, value=name, description="struct")
        self._kernel = ipywidgets.Dropdown(options=[("this kernel", "this")], value="this", description="kernel")
        self._picture = ipywidgets.HTML()
        self._offer()
        self._name.observe(lambda _: self._offer(), "value")
        self._kernel.observe(lambda _: self._draw(), "value")
        self.children = [ipywidgets.HBox([self._name, self._kernel]), self._picture]

    def _offer(self) -> None:
        kernels = [("this kernel", "this")]
        for kernel in reversed(KERNELS[:-1]):
            try:
                kernel_struct(self._name.value, kernel)
            except ValueError:
                continue
            kernels.append((f"Linux {kernel}", kernel))
        before = self._kernel.value
        self._kernel.options = kernels
        self._kernel.value = before if before in [kernel for _, kernel in kernels] else "this"
        self._draw()

    def _draw(self) -> None:
        self._picture.value = struct_picture(kernel_struct(self._name.value, self._kernel.value)).svg

    def picture(self) -> Picture:
        """The recorded 6.18: what is stored must be the same on every machine."""
        return struct_picture(kernel_struct(self._name.value))

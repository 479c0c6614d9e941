"""The regions that a program's buffers and parameters get."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from fastcnn.graph.program import Buffer, Op, Program
from fastcnn.kernels.call import GLOBAL, LOCAL, Address, Call, Calls, Region
from fastcnn.kernels.registry import Kernels

if TYPE_CHECKING:
    from fastcnn.graph.parameter import Parameter

# Ops that may write where their input lay, if nothing else reads it: kind -> which input. Their
# kernels work in vectors; a compiled loop would go number by number where input and output are the
# same memory.
IN_PLACE = {
    "activation": 0,
    "activation_dx": 1,
    "add": 0,
    "affine": 0,
    "batch_norm_dx": 1,
    "bias": 0,
    "scale_dx": 0,
    "scale_shift": 0,
}
RECTIFIERS = ("relu", "leaky_relu", "relu6", "clipped_relu")


class Partial(NamedTuple):
    """Sums over the images of each chunk, and the buffer that they are sums of."""

    region: Region
    summed: Buffer


class Regions:
    """A program on its way to calls: the regions of its buffers and the calls so far."""

    def __init__(
        self,
        program: Program,
        kernels: Kernels,
        calls: Calls,
        outside: dict[Buffer, str],
        kept: set[Buffer],
    ):
        """`outside` names the arrays that some buffers are; `kept` are read after the run."""
        self.program = program
        self.kernels = kernels
        self.calls = calls
        self.constants: list[float] = []
        self._roots = program.roots()
        self._outside = outside
        self._kept = {self._root_of(buffer) for buffer in kept}
        self._readers = self._count_readers()
        self._regions: dict[Buffer, Region] = {}
        self._parameters: dict[tuple[str, int, str], Region] = {}
        self.partials: dict[Buffer, Partial] = {}  # by the whole-batch buffer made of them

    def _root_of(self, buffer: Buffer) -> Buffer:
        """Return the buffer whose memory a reshaped one shares."""
        return self._roots.get(buffer, buffer)

    def _count_readers(self) -> dict[Buffer, int]:
        readers: dict[Buffer, int] = {}
        for op in self.program.ops:
            if op.kind != "reshape":
                for buffer in op.inputs:
                    root = self._root_of(buffer)
                    readers[root] = readers.get(root, 0) + 1
        return readers

    def region(self, buffer: Buffer) -> Region:
        """Return the region of a buffer, new where it has none yet."""
        root = self._root_of(buffer)
        if root not in self._regions:
            kind = self._outside.get(root, LOCAL if root.per_image else GLOBAL)
            self._regions[root] = Region(
                4 * root.size,
                kind,
                per_image=root.per_image,
                kept=root in self._kept,
                label=str(root),
            )
        return self._regions[root]

    def output(self, op: Op) -> Region:
        """Return the region of an op's output, its input's where it may work in place."""
        root = self._root_of(op.outputs[0])
        fit = op.kind in IN_PLACE and op.attributes.get("function", "relu") in RECTIFIERS
        if fit and root not in self._regions and root not in self._kept:
            source = self._root_of(op.inputs[IN_PLACE[op.kind]])
            free = source not in self._kept and source not in self._outside
            if free and self._readers[source] == 1 and source.size == root.size:
                self._regions[root] = self.region(source)
        return self.region(op.outputs[0])

    def parameter(self, parameter: Parameter, array: str = "values") -> Region:
        """Return a parameter's region in one of the flat arrays."""
        kind = "moving" if parameter.kind == "moving" else array
        key = (kind, parameter.offset, parameter.path)
        if key not in self._parameters:
            self._parameters[key] = Region(
                4 * parameter.size, kind, 4 * parameter.offset, False, label=parameter.path
            )
        return self._parameters[key]

    def weights(self, op: Op, name: str) -> Region | None:
        """Return the region of one of the op's parameters; None where it has none of that name."""
        return self.parameter(op.parameters[name]) if name in op.parameters else None

    def gradient(self, op: Op, name: str) -> Region | None:
        """Return where the gradient of one of the op's parameters goes; None if not wanted."""
        if name not in op.gradient_of:
            return None
        return self.parameter(op.parameters[name], "gradients")

    def constant(self, values: list[float]) -> Region:
        """Return a region with fixed numbers."""
        region = Region(4 * len(values), "constants", 4 * len(self.constants), False)
        self.constants += values
        return region

    def emit(
        self,
        kernel: Any,
        scope: str,
        writes: str | tuple[str, ...],
        places: Mapping[str, Region | Address | None],
        **values: Any,
    ) -> Call:
        """Append a call and return it; see `Calls.emit`."""
        return self.calls.emit(kernel, scope, writes, dict(places), **values)

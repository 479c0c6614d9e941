"""A model as data: ops over numbered buffers, which every engine runs.

`Sequential` lowers its layers into a `Program`; `fusion` joins what belongs together; `gradients`
adds the backward ops; an engine turns each op into calls of its kernels. `print(program)` shows
all of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastcnn.layers.base import Parameter


@dataclass(frozen=True)
class Buffer:
    """A value: one array of `shape` per image, or a single one where `per_image` is False."""

    number: int
    shape: tuple[int, ...]
    per_image: bool = True
    dtype: str = "float32"

    @property
    def size(self) -> int:
        """Elements, of one image where there is one array per image."""
        total = 1
        for extent in self.shape:
            total *= extent
        return total

    def __str__(self) -> str:
        return f"%{self.number}"


@dataclass
class Op:
    """One operation: what it reads, what it makes, and whose it is.

    `gradient_of` names the parameters whose gradients a backward op produces; such an op has no
    output buffer. `attributes` are the op's plain settings (strides, padding, activation, ...).
    """

    kind: str
    inputs: tuple[Buffer, ...]
    outputs: tuple[Buffer, ...]
    parameters: dict[str, Parameter] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    layer: str = ""
    gradient_of: tuple[str, ...] = ()

    def __str__(self) -> str:
        made = ", ".join(f"{b}{list(b.shape)}" for b in self.outputs)
        if self.gradient_of:
            made = ", ".join(f"d {self.parameters[name].path}" for name in self.gradient_of)
        read = [str(b) for b in self.inputs]
        if not self.gradient_of:
            read += [p.path for p in self.parameters.values()]
        shown = {k: v for k, v in self.attributes.items() if v is not None}
        if "chosen" in shown:
            shown["strategy"] = f"{shown['strategy']} ({shown.pop('chosen')})"
        settings = ", ".join(f"{k}={v}" for k, v in shown.items())
        note = f"  # {self.layer}" if self.layer else ""
        return f"{made} = {self.kind}({', '.join(read)}{'; ' + settings if settings else ''}){note}"


class Program:
    """Ops in order, the buffers between them, and which buffers go in and come out."""

    def __init__(self, input_shape: tuple[int, ...], training: bool):
        self.training = training
        self.ops: list[Op] = []
        self.buffers: list[Buffer] = []
        self.layer = ""
        self.input = self.buffer(input_shape)
        self.output = self.input
        self.outputs_of: dict[str, Buffer] = {}  # by layer path

    def buffer(
        self, shape: Iterable[int], per_image: bool = True, dtype: str = "float32"
    ) -> Buffer:
        """Add a buffer."""
        made = Buffer(len(self.buffers), tuple(shape), per_image, dtype)
        self.buffers.append(made)
        return made

    def add(
        self,
        kind: str,
        inputs: Iterable[Buffer],
        shape: Iterable[int],
        parameters: dict[str, Parameter] | None = None,
        **attributes: Any,
    ) -> Buffer:
        """Append an op with one output per image and return that output."""
        output = self.buffer(shape)
        self.append(kind, inputs, (output,), parameters, **attributes)
        return output

    def append(
        self,
        kind: str,
        inputs: Iterable[Buffer],
        outputs: Iterable[Buffer],
        parameters: dict[str, Parameter] | None = None,
        gradient_of: Iterable[str] = (),
        **attributes: Any,
    ) -> Op:
        """Append an op with the given outputs."""
        present = {name: p for name, p in (parameters or {}).items() if p is not None}
        wanted = tuple(name for name in gradient_of if name in present)
        op = Op(
            kind, tuple(inputs), tuple(outputs), present, attributes, self.layer, gradient_of=wanted
        )
        self.ops.append(op)
        return op

    def producer(self, buffer: Buffer) -> Op | None:
        """Return the op that makes a buffer, or None for the program's input."""
        return next((op for op in self.ops if buffer in op.outputs), None)

    def consumers(self, buffer: Buffer) -> list[Op]:
        """Return the ops that read a buffer."""
        return [op for op in self.ops if buffer in op.inputs]

    def root(self, buffer: Buffer) -> Buffer:
        """Return the buffer whose memory a reshaped one shares."""
        maker = self.producer(buffer)
        while maker is not None and maker.kind == "reshape":
            buffer = maker.inputs[0]
            maker = self.producer(buffer)
        return buffer

    def __str__(self) -> str:
        mode = "training" if self.training else "inference"
        head = f"program ({mode}): input {self.input}{list(self.input.shape)}, output {self.output}"
        return "\n".join([head, *(f"  {op}" for op in self.ops)])

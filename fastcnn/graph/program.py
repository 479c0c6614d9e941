"""A model as data: ops over numbered buffers, which every engine runs.

A model lowers its layers into a `Program`; `fusion` joins what belongs together; `autodiff`
adds the backward ops; an engine turns each op into calls of its kernels. `print(program)` shows
all of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from fastcnn.utils.chain import Chain

if TYPE_CHECKING:
    from fastcnn.graph.parameter import Parameter


Value = TypeVar("Value")

GRADIENT, GUIDED, DECONVNET = "gradient", "guided", "deconvnet"
RELU_RULES = (GRADIENT, GUIDED, DECONVNET)
"""How a gradient passes ReLU: where its input was above 0; where the gradient is too; where the
gradient alone is."""


class OpValues(dict[str, Value]):
    """What an op has by name. Asking for what it lacks, as the op of a user's own layer may, is a
    ValueError that names the op and its layer."""

    def __init__(self, values: Mapping[str, Value], op: str, kind: str) -> None:
        super().__init__(values)
        self._op = op
        self._kind = kind

    def __missing__(self, name: str) -> NoReturn:
        raise ValueError(
            f"{self._op} needs the {self._kind} '{name}'. Received {', '.join(self) or 'none'}. "
            "Give it to program.add, where the layer lowers itself."
        )


@dataclass(frozen=True, eq=False)
class Buffer:
    """A value: one array of `shape` per image, or a single one where `per_image` is False.

    Each buffer is equal to itself alone.
    """

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


@dataclass(frozen=True, eq=False)
class Op:
    """One operation: what it reads, what it makes, and whose it is.

    Its program knows who reads and who makes each buffer, so `Program.rewire` alone changes
    `inputs` and `outputs`. Each op is equal to itself alone. `gradient_of` names the parameters
    whose gradients a backward op produces; such an op has no output buffer. `attributes` are the
    op's plain settings (strides, padding, activation, ...).
    """

    kind: str
    inputs: tuple[Buffer, ...]
    outputs: tuple[Buffer, ...]
    parameters: dict[str, Parameter] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    layer: str = ""
    gradient_of: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for kind in ("parameter", "attribute"):
            values = OpValues(getattr(self, f"{kind}s"), self.where, kind)
            object.__setattr__(self, f"{kind}s", values)

    @property
    def where(self) -> str:
        """The op as errors name it."""
        return f"Layer '{self.layer}': the op {self.kind}" if self.layer else f"The op {self.kind}"

    def __str__(self) -> str:
        outputs = ", ".join(f"{b}{list(b.shape)}" for b in self.outputs)
        if self.gradient_of:
            outputs = ", ".join(f"d {self.parameters[name].path}" for name in self.gradient_of)
        read = [str(b) for b in self.inputs]
        if not self.gradient_of:
            read += [p.path for p in self.parameters.values()]
        shown = {k: v for k, v in self.attributes.items() if v is not None}
        if "chosen" in shown:
            shown["strategy"] = f"{shown['strategy']} ({shown.pop('chosen')})"
        settings = ", ".join(f"{k}={v}" for k, v in shown.items())
        note = f"  # {self.layer}" if self.layer else ""
        return (
            f"{outputs} = {self.kind}({', '.join(read)}{'; ' + settings if settings else ''}){note}"
        )


@dataclass(frozen=True, eq=False)
class Auxiliary:
    """An output on the way, of the layer at a path, that is trained by a loss of its own, whose
    gradient counts `loss_weight` times."""

    layer: str
    output: Buffer
    loss_weight: float

    def role(self, name: str) -> str:
        """Return what a buffer of its loss is called among a program's roles."""
        return f"{name} of {self.layer}"


class Program:
    """Ops in order, the buffers between them, and which buffers go in and come out.

    Training alone has `auxiliaries`; with `whole`, layers that only training needs lower
    themselves for inference too. `results` are buffers that have to be there as they are, beside
    `output`: no pass joins others across them. `relu_rule` says how gradients pass ReLU.
    """

    def __init__(self, input_shape: tuple[int, ...], training: bool, whole: bool = False):
        self.training = training
        self.whole = training or whole
        self.auxiliaries: list[Auxiliary] = []
        self.buffers: list[Buffer] = []
        self.layer = ""
        self._chain: Chain[Op] = Chain()
        self._ops: tuple[Op, ...] | None = ()
        self._producers: dict[Buffer, Op] = {}
        self._consumers: dict[Buffer, dict[Op, None]] = {}  # in the order they came
        self._trainers: dict[Parameter, Op] = {}
        self._streams = 0
        self.input = self.buffer(input_shape)
        self.output = self.input
        self.results: set[Buffer] = set()
        self.relu_rule = GRADIENT
        self.outputs_of: dict[str, Buffer] = {}  # by layer path

    @property
    def ops(self) -> tuple[Op, ...]:
        """The ops in order, as they are now."""
        if self._ops is None:
            self._ops = tuple(self._chain)
        return self._ops

    def buffer(
        self, shape: Iterable[int], per_image: bool = True, dtype: str = "float32"
    ) -> Buffer:
        """Add a buffer."""
        buffer = Buffer(len(self.buffers), tuple(shape), per_image, dtype)
        self.buffers.append(buffer)
        return buffer

    def random_stream(self) -> int:
        """Return a number that no other op of this program draws its random numbers by."""
        self._streams += 1
        return self._streams - 1

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
        """Append an op with the given outputs.

        Raises ValueError where another op makes one of them, or one of the gradients, already.
        """
        present = {name: p for name, p in (parameters or {}).items() if p is not None}
        wanted = tuple(name for name in gradient_of if name in present)
        op = Op(
            kind, tuple(inputs), tuple(outputs), present, attributes, self.layer, gradient_of=wanted
        )
        self._connect(op)
        self._insert(op, None)
        return op

    def remove(self, op: Op) -> None:
        """Take an op out; its buffers stay."""
        self._disconnect(op)
        self._chain.remove(op)
        self._ops = None

    def move(self, op: Op, before: Op) -> None:
        """Let an op run just before another one."""
        self._chain.remove(op)
        self._insert(op, before)

    def rewire(
        self,
        op: Op,
        inputs: Iterable[Buffer] | None = None,
        outputs: Iterable[Buffer] | None = None,
    ) -> None:
        """Let an op read or make other buffers; None leaves them as they are."""
        self._disconnect(op)
        for name, buffers in (("inputs", inputs), ("outputs", outputs)):
            if buffers is not None:
                object.__setattr__(op, name, tuple(buffers))  # frozen to all others
        self._connect(op)

    def producer(self, buffer: Buffer) -> Op | None:
        """Return the op that makes a buffer, or None for the program's input."""
        return self._producers.get(buffer)

    def consumers(self, buffer: Buffer) -> tuple[Op, ...]:
        """Return the ops that read a buffer, each once."""
        return tuple(self._consumers.get(buffer, ()))

    def trainer(self, parameter: Parameter) -> Op | None:
        """Return the op that makes a parameter's gradient, or None where there is none."""
        return self._trainers.get(parameter)

    def roots(self) -> dict[Buffer, Buffer]:
        """Return, for each buffer that a reshape makes, the buffer whose memory it shares."""
        roots: dict[Buffer, Buffer] = {}
        for op in self.ops:
            if op.kind == "reshape":
                source = op.inputs[0]
                roots[op.outputs[0]] = roots.get(source, source)
        return roots

    def is_result(self, buffer: Buffer) -> bool:
        """Say whether a buffer is read by others than the program's ops."""
        auxiliary = any(buffer is side.output for side in self.auxiliaries)
        return buffer is self.output or buffer in self.results or auxiliary

    def trains(self, parameter: Parameter) -> bool:
        """Say whether a parameter's gradient is wanted: at inference none is."""
        return self.training and parameter.trainable

    def readable(self, buffer: Buffer) -> Buffer:
        """Return a buffer that the host may read after a run: a copy of one in the input's memory,
        which is the caller's."""
        if self.roots().get(buffer, buffer) is not self.input:
            return buffer
        return self.add("copy", [buffer], buffer.shape)

    def _insert(self, op: Op, before: Op | None) -> None:
        self._chain.insert(op, before)
        self._ops = None

    def _connect(self, op: Op) -> None:
        trained = [op.parameters[name] for name in op.gradient_of]
        for buffer in op.outputs:
            maker = self._producers.get(buffer)
            if maker is not None or buffer is self.input:
                raise ValueError(
                    f"{op.where} writes the buffer {buffer}, which "
                    f"{f'the op {maker.kind} makes' if maker else 'holds the images'} already. "
                    "Give it one of its own, by Program.buffer."
                )
        for parameter in trained:
            if parameter in self._trainers:
                raise ValueError(
                    f"{op.where} computes the gradient of '{parameter.path}', as "
                    f"{self._trainers[parameter].kind} does already: two ops use that parameter. "
                    "Use it in one, or freeze the layer (trainable=False)."
                )
        self._producers.update(dict.fromkeys(op.outputs, op))
        self._trainers.update(dict.fromkeys(trained, op))
        for buffer in op.inputs:
            self._consumers.setdefault(buffer, {})[op] = None

    def _disconnect(self, op: Op) -> None:
        for buffer in op.outputs:
            del self._producers[buffer]
        for name in op.gradient_of:
            del self._trainers[op.parameters[name]]
        for buffer in dict.fromkeys(op.inputs):
            del self._consumers[buffer][op]

    def __str__(self) -> str:
        mode = "training" if self.training else "inference"
        head = f"program ({mode}): input {self.input}{list(self.input.shape)}, output {self.output}"
        return "\n".join([head, *(f"  {op}" for op in self.ops)])

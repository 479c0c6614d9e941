"""Receptive fields: which pixels of the image the values of a program depend on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from fastcnn.graph.program import Buffer, Op, Program


@dataclass(frozen=True)
class Span:
    """The pixels along one axis: value number i depends on `size` of them, from
    `start + i * stride` on, some of which may lie outside the image."""

    start: int
    size: int
    stride: int

    def at(self, place: int) -> tuple[int, int]:
        """Return the first pixel of a value, and the one behind the last."""
        first = self.start + place * self.stride
        return first, first + self.size


Field: TypeAlias = tuple[Span, Span]
"""Along the rows and along the columns."""


def receptive_fields(program: Program) -> dict[Buffer, Field]:
    """Return the receptive field of every value of a program whose input is images.

    What is no window over its input, as a dense layer, has the whole image.

    Args:
        program: The ops, before they were fused.

    Returns:
        The fields, by the buffers that hold the values.
    """
    height, width = program.input.shape[:2]
    whole = Span(0, height, 0), Span(0, width, 0)
    fields: dict[Buffer, Field] = {program.input: (Span(0, 1, 1), Span(0, 1, 1))}
    for op in program.ops:
        arriving = [fields[buffer] for buffer in op.inputs if buffer in fields]
        if arriving:
            field = _joined([_through(op, field) or whole for field in arriving])
            fields.update(dict.fromkeys(op.outputs, field))
    return fields


def _through(op: Op, field: Field) -> Field | None:
    """Return the field behind an op; None for the whole image."""
    problem = op.attributes.get("problem")
    if problem is not None and op.kind != "conv2d_dx":
        rows, columns = (
            _window(
                field[axis],
                problem.kernel[axis],
                problem.strides[axis],
                problem.dilation[axis],
                problem.padding[axis][0],
            )
            for axis in (0, 1)
        )
        return rows, columns
    if op.kind in ("pad", "crop"):
        sign = 1 if op.kind == "pad" else -1
        pads = op.attributes["padding"]
        rows, columns = (_window(field[axis], 1, 1, 1, sign * pads[axis][0]) for axis in (0, 1))
        return rows, columns
    shape = op.outputs[0].shape
    same_places = len(shape) == 3 and shape[:2] == op.inputs[0].shape[:2]
    mixing = op.kind in ("affine_sample", "upsample", "permute", "conv2d_dx")
    return field if same_places and not mixing else None


def _window(span: Span, taps: int, stride: int, dilation: int, before: int) -> Span:
    size = span.size + (taps - 1) * dilation * span.stride
    return Span(span.start - before * span.stride, size, span.stride * stride)


def _joined(fields: list[Field]) -> Field:
    """Return the field of what depends on several values at the same place."""
    rows, columns = (_union([field[axis] for field in fields]) for axis in (0, 1))
    return rows, columns


def _union(spans: list[Span]) -> Span:
    start = min(span.start for span in spans)
    end = max(span.start + span.size for span in spans)
    return Span(start, end - start, max(span.stride for span in spans))

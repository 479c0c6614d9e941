"""The loss."""

from __future__ import annotations

from fastcnn.backends.lowering.regions import Regions
from fastcnn.graph.program import Op
from fastcnn.kernels.call import IMAGE
from fastcnn.kernels.shared.losses import LABEL_KERNELS
from fastcnn.utils import naming


def loss(low: Regions, op: Op) -> None:
    scores, target, weight = (low.region(buffer) for buffer in op.inputs)
    gradient, loss, rank = (low.region(buffer) for buffer in op.outputs)
    places = {"scores": scores, "target": target, "weight": weight}
    places |= {"gradient": gradient, "loss": loss, "rank": rank}
    owner, kernels = f"The loss {op.attributes['loss']}", low.kernels.losses.LOSSES
    kernel = naming.entry(owner, "loss kernel", op.attributes["kernel"], kernels)
    _check_target(op)
    low.emit(
        kernel,
        IMAGE,
        ("gradient", "loss", "rank"),
        places,
        size=op.inputs[0].size,
        option=float(op.attributes["option"]),
        classes=op.attributes["classes"],
    )


def _check_target(op: Op) -> None:
    """ValueError where a loss of the user's own says of its targets what its kernel does not take:
    labels are read as one int32 an image, targets as a float32 an output."""
    takes_labels = op.attributes["kernel"] in LABEL_KERNELS
    has_labels = op.inputs[1].dtype == "int32"
    if takes_labels != has_labels:
        expected = "sparse" if takes_labels else "dense"
        raise ValueError(
            f"The loss {op.attributes['loss']}: its kernel '{op.attributes['kernel']}' takes "
            f"target = '{expected}'. Received '{'sparse' if has_labels else 'dense'}'."
        )

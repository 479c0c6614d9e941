"""The loss."""

from __future__ import annotations

from fastcnn.backends.lowering.regions import Regions
from fastcnn.graph.program import Op
from fastcnn.kernels.call import IMAGE
from fastcnn.utils import naming


def loss(low: Regions, op: Op) -> None:
    scores, target, weight = (low.region(buffer) for buffer in op.inputs)
    gradient, loss, rank = (low.region(buffer) for buffer in op.outputs)
    places = {"scores": scores, "target": target, "weight": weight}
    places |= {"gradient": gradient, "loss": loss, "rank": rank}
    low.emit(
        naming.entry(
            *(f"The loss {op.attributes['loss']}", "loss kernel"),
            *(op.attributes["kernel"], low.kernels.train_step.LOSSES),
        ),
        IMAGE,
        ("gradient", "loss", "rank"),
        places,
        size=op.inputs[0].size,
        option=float(op.attributes["option"]),
        classes=op.attributes["classes"],
    )

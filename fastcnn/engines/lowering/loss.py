"""The loss."""

from __future__ import annotations

from fastcnn import naming
from fastcnn.engines.lowering.regions import Regions
from fastcnn.kernels.call import IMAGE
from fastcnn.program import Op


def loss(low: Regions, op: Op) -> None:
    scores, target, weight = (low.region(buffer) for buffer in op.inputs)
    gradient, loss, rank = (low.region(buffer) for buffer in op.outputs)
    places = {"scores": scores, "target": target, "weight": weight}
    places |= {"gradient": gradient, "loss": loss, "rank": rank}
    low.emit(
        naming.entry(
            *(f"The loss {op.attributes['loss']}", "loss kernel"),
            *(op.attributes["kernel"], low.kernels.training.LOSSES),
        ),
        IMAGE,
        ("gradient", "loss", "rank"),
        places,
        size=op.inputs[0].size,
        option=float(op.attributes["option"]),
        classes=op.attributes["classes"],
    )

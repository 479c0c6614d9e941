"""fastcnn as a competitor of the GPU's race, in this process: a run compiles kernels once."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

import fastcnn
from fastcnn.backends.step import Selection
from gpu import nets
from gpu.scale import Scale

sys.path.insert(1, str(Path(__file__).parents[1] / "peers"))

import protocol

NAME = "fastcnn"


class Own:
    """Answers as a `competitors.Competitor` does."""

    def __init__(self, scale: Scale):
        self.name = NAME
        variants = [
            NAME,
            *(f"{NAME} {precision}" for precision in scale.timed if precision != "float32"),
        ]
        self.about = {"variants": dict.fromkeys(scale.modes, variants)}
        self._steps: dict[tuple[Any, ...], protocol.Step] = {}
        self._least = 1 if scale.tiny else 5

    def ask(self, command: str, task: dict[str, Any], seconds: float = 0.0) -> dict[str, Any]:
        """Prepare a task, run it for some seconds, or drop it."""
        key = tuple(task.values())
        if command == "prepare":
            self._steps[key] = _step(**task)
            # The second time records a graph, which is what is timed.
            protocol.warm_up(self._steps[key], seconds=0.0, least=min(3, self._least))
        elif command == "run":
            return {"ms": protocol.measure(self._steps[key], seconds, self._least)}
        else:
            del self._steps[key]
        return {}

    def close(self) -> None:
        """Nothing to end."""


def _step(net: str, mode: str, batch: int, variant: str) -> protocol.Step:
    precision = "tf32" if variant.endswith("tf32") else "float32"
    model = nets.build(net, precision)
    images = nets.images(model.input_shape, batch)
    if mode == "train":
        model.compile(fastcnn.optimizers.SGD(0.01, momentum=0.9), "sparse_categorical_crossentropy")
    engine = model.engine()
    # The images are on the GPU, as the peer's are.
    held = engine.hold(images, anew=False)
    x = Selection(images, np.arange(batch, dtype=np.int32)) if held else images
    if mode == "infer":
        return lambda: engine.predict(x)
    y = nets.labels(batch)
    return lambda: engine.train(x, y, None)

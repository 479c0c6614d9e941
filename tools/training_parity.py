"""Train networks beside PyTorch, from the same weights, on the same batches in the same order.

    python tools/training_parity.py --peer /path/to/python-with-torch [--steps 20] [NETWORK ...]

fastcnn writes a network's configuration, its first weights and the batches; the peer builds the
same network of PyTorch's functions, in float64, and takes the steps. A row says by how much a
step's loss differs at most, relative to the largest, and the norm by which the weights differ,
relative to that of all that the training changed. Dropout, which draws at random, is off in both.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

CLASSES, BATCH, RATE, MOMENTUM = 7, 8, 0.01, 0.9


class Case(NamedTuple):
    """A network and the images' height and width."""

    network: str
    size: int
    arguments: dict[str, Any]


CASES = [Case("googlenet", 96, {}), Case("nin", 32, {})]

# ---- the peer's process ----


class Network:
    """A network of PyTorch's functions, as fastcnn's configuration describes it."""

    def __init__(self, config: dict[str, Any], weights: dict[str, np.ndarray]):
        import torch

        self.layers = config["layers"]
        self.weights = {
            path: torch.tensor(value, dtype=torch.float64, requires_grad=True)
            for path, value in weights.items()
        }
        self.sides: list[tuple[float, Any]] = []

    def loss(self, x: Any, labels: Any) -> Any:
        """The loss of the network's end, with its side classifiers' by their weights."""
        import torch

        self.sides = []
        scores = self._chain(self.layers, x, "")
        total = torch.nn.functional.nll_loss(scores, labels)
        for weight, side in self.sides:
            total = total + weight * torch.nn.functional.nll_loss(side, labels)
        return total

    def _chain(self, layers: list[dict[str, Any]], x: Any, path: str) -> Any:
        for layer in layers:
            settings = layer["config"]
            build = getattr(self, "_" + layer["class_name"].lower())
            x = build(x, settings, f"{path}{settings['name']}/")
        return x

    def _conv2d(self, x: Any, of: dict[str, Any], path: str) -> Any:
        import torch.nn.functional as F

        kernel = self.weights[path + "kernel"].permute(3, 2, 0, 1)
        bias = self.weights.get(path + "bias")
        x = F.pad(x, _around(of["padding"], x, kernel.shape[2:], of["strides"]))
        x = F.conv2d(x, kernel, bias, of["strides"], 0, of["dilation_rate"], of["groups"])
        return _activated(x, of["activation"])

    def _dense(self, x: Any, of: dict[str, Any], path: str) -> Any:
        x = x @ self.weights[path + "kernel"]
        return _activated(x + self.weights[path + "bias"], of["activation"])

    def _maxpooling2d(self, x: Any, of: dict[str, Any], path: str) -> Any:
        import torch.nn.functional as F

        x = F.pad(x, _around(of["padding"], x, of["pool_size"], of["strides"]), value=-np.inf)
        return F.max_pool2d(x, of["pool_size"], of["strides"], ceil_mode=of["ceil_mode"])

    def _averagepooling2d(self, x: Any, of: dict[str, Any], path: str) -> Any:
        import torch
        import torch.nn.functional as F

        around = _around(of["padding"], x, of["pool_size"], of["strides"])
        inside = F.pad(torch.ones_like(x[:1, :1]), around)
        sums, counts = (
            F.avg_pool2d(each, of["pool_size"], of["strides"])
            for each in (F.pad(x, around), inside)
        )
        return sums / counts

    def _globalaveragepooling2d(self, x: Any, of: dict[str, Any], path: str) -> Any:
        return x.mean(dim=(2, 3))

    def _localresponsenormalization(self, x: Any, of: dict[str, Any], path: str) -> Any:
        import torch.nn.functional as F

        return F.local_response_norm(x, of["size"], of["alpha"], of["beta"], of["k"])

    def _flatten(self, x: Any, of: dict[str, Any], path: str) -> Any:
        return x.permute(0, 2, 3, 1).flatten(1)

    def _activation(self, x: Any, of: dict[str, Any], path: str) -> Any:
        return _activated(x, of["activation"])

    def _dropout(self, x: Any, of: dict[str, Any], path: str) -> Any:
        return x

    def _concat(self, x: Any, of: dict[str, Any], path: str) -> Any:
        import torch

        return torch.cat([self._chain(branch, x, path) for branch in of["branches"]], dim=1)

    def _auxiliaryclassifier(self, x: Any, of: dict[str, Any], path: str) -> Any:
        self.sides.append((of["loss_weight"], self._chain(of["layers"], x, path)))
        return x


def _around(padding: Any, x: Any, window: Any, strides: Any) -> tuple[int, int, int, int]:
    """What stands before and behind columns and rows, as PyTorch's pad takes it."""
    pairs = []
    for size, taps, stride, axis in zip(x.shape[2:], window, strides, (0, 1), strict=True):
        if padding == "valid":
            pairs.append((0, 0))
        elif padding == "same":
            missing = max((-(-size // stride) - 1) * stride + taps - size, 0)
            pairs.append((missing // 2, missing - missing // 2))
        else:
            pairs.append(tuple(padding[axis]))
    return (*pairs[1], *pairs[0])


def _activated(x: Any, name: str | None) -> Any:
    """An activation; the logarithm for softmax, in which networks and side classifiers end."""
    if name == "softmax":
        return x.log_softmax(dim=1)
    return x if name in (None, "linear") else getattr(x, name)()


def train(folder: Path) -> None:
    """Take the steps, and write each one's loss and the last weights."""
    import torch

    config = json.loads((folder / "config.json").read_text())
    with np.load(folder / "weights.npz") as file:
        network = Network(config, dict(file))
    with np.load(folder / "batches.npz") as file:
        images, labels = file["images"], file["labels"]
    optimizer = torch.optim.SGD(network.weights.values(), RATE, MOMENTUM)
    losses = []
    for x, y in zip(images, labels, strict=True):
        optimizer.zero_grad()
        batch = torch.tensor(x, dtype=torch.float64).permute(0, 3, 1, 2)
        loss = network.loss(batch, torch.tensor(y, dtype=torch.int64))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    weights: dict[str, Any] = {
        path: value.detach().numpy() for path, value in network.weights.items()
    }
    np.savez(folder / "trained.npz", **weights | {" losses": np.array(losses)})


# ---- fastcnn's process ----


class Row(NamedTuple):
    """The relative differences of the steps' losses and of the weights after the last."""

    case: Case
    losses: float
    weights: float

    def __str__(self) -> str:
        arguments = "".join(f", {name}={value!r}" for name, value in self.case.arguments.items())
        return f"| `{self.case.network}`{arguments} | {self.losses:.1e} | {self.weights:.1e} |"


def compare(case: Case, steps: int, peer: str) -> Row:
    """Return what a case gives."""
    import fastcnn

    shape = (case.size, case.size, 3)
    build = getattr(fastcnn.applications, case.network)
    model = build(shape, classes=CLASSES, seed=3, **case.arguments)
    model = fastcnn.Sequential.from_config(_without_dropout(model.get_config()))
    generator = np.random.default_rng(0)
    images = generator.standard_normal((steps, BATCH, *shape), np.float32)
    labels = generator.integers(0, CLASSES, (steps, BATCH)).astype(np.int32)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "config.json").write_text(json.dumps(model.get_config()))
        trained = [parameter for parameter in model.parameters if parameter.trainable]
        first: dict[str, Any] = {p.path: p.value.copy() for p in trained}
        np.savez(folder / "weights.npz", **first)
        np.savez(folder / "batches.npz", images=images, labels=labels)
        command = [peer, __file__, "--train", str(folder)]
        subprocess.run(command, check=True)
        with np.load(folder / "trained.npz") as file:
            theirs = dict(file)
    model.compile(
        fastcnn.optimizers.SGD(RATE, momentum=MOMENTUM), "sparse_categorical_crossentropy"
    )
    losses = [
        model.train_on_batch(x, y, return_dict=True)["loss"]
        for x, y in zip(images, labels, strict=True)
    ]
    apart = _norm(p.value - theirs[p.path] for p in trained)
    changed = _norm(first[p.path] - theirs[p.path] for p in trained)
    return Row(case, _difference(np.array(losses), theirs[" losses"]), apart / changed)


def _without_dropout(config: Any) -> Any:
    """Return a configuration in which no layer zeroes anything."""
    if isinstance(config, dict):
        return {
            name: 0.0 if name == "rate" else _without_dropout(value)
            for name, value in config.items()
        }
    return [_without_dropout(value) for value in config] if isinstance(config, list) else config


def _norm(arrays: Iterable[np.ndarray]) -> float:
    return math.sqrt(sum(float(np.square(array, dtype=np.float64).sum()) for array in arrays))


def _difference(ours: np.ndarray, theirs: np.ndarray) -> float:
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


def main() -> None:
    """Print the table of the networks asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", help="of fastcnn.applications; default all of these")
    parser.add_argument("--peer", help="a Python that has torch")
    parser.add_argument("--steps", type=int, default=20, help="default: 20")
    parser.add_argument("--train", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.train:
        train(options.train)
        return
    print("| network | losses | weights |", "| --- | --- | --- |", sep="\n")
    for case in CASES:
        if not options.networks or case.network in options.networks:
            print(compare(case, options.steps, options.peer), flush=True)


if __name__ == "__main__":
    main()

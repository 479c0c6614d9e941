"""Nets drawn at random from all layers: one training step here, and in PyTorch in float64.

    python tools/random_parity.py --peer /path/to/python-with-torch [--nets 0:300]

The nets are those of tests/graph/test_random_graphs.py, without dropout, which draws at random.
Compared are the loss of a step, the gradient of every parameter, and the gradient of the loss
at inference by the images: the largest difference, relative to the largest number of the array, or
to a tenth of the largest gradient where that is more. Nets whose gradients answer to float32's
rounding by more than a thousandth are left out, as there. Ends with code 1 if a net differs by more
than 1e-4.
"""

from __future__ import annotations

import argparse
import importlib
import shutil
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from peer_files import read_network, without_dropout, write_model

ROOT = Path(__file__).parents[1]
LIMIT = 1e-4

# ---- the peer's process ----


def answer(folder: Path) -> None:
    """Compute what PyTorch makes of the net in a folder."""
    import torch

    network, about = read_network(folder)
    with np.load(folder / "batch.npz") as file:
        x, y = torch.tensor(file["x"], dtype=torch.float64), torch.tensor(file["y"])
    y = y.long() if about["loss"] == "SparseCategoricalCrossentropy" else y.double()
    what = about["loss"], about["settings"]
    loss = network.loss(x, y, *what)
    answers: dict[str, Any] = {"loss": loss.item()}
    for path, gradient in zip(
        network.weights, gradients(loss, list(network.weights.values())), strict=True
    ):
        answers[f"gradient of {path}"] = gradient
    network.training = False
    x.requires_grad_()
    (gradient,) = gradients(network.loss(x, y, *what), [x])
    answers["gradient of the images"] = len(x) * gradient  # of each one's own loss
    np.savez(folder / "answers.npz", **answers)


def gradients(loss: Any, values: list[Any]) -> list[np.ndarray]:
    """Return a loss's gradients; zeros where it depends on nothing."""
    import torch

    if not values or not loss.requires_grad:
        return [np.zeros(value.shape) for value in values]
    options = {"allow_unused": True, "materialize_grads": True}
    return [each.numpy() for each in torch.autograd.grad(loss, values, **options)]


# ---- fastcnn's process ----


class Row(NamedTuple):
    """A net's largest difference."""

    number: int
    difference: float
    what: str


def ask(number: int, folder: Path) -> dict[str, Any] | None:
    """Write a net and a batch into a folder; return what fastcnn makes of them, None if too little
    of that is sure in float32.
    """
    building, nets, graphs = map(
        importlib.import_module, ("building", "random_nets", "test_random_graphs")
    )
    reference = importlib.import_module("reference_model")
    import fastcnn

    net = nets.draw(number)
    model = fastcnn.Sequential(net.layers, input_shape=net.shape, seed=3)
    model = fastcnn.Sequential.from_config(without_dropout(model.get_config()))
    model.compile("sgd", net.loss)
    building.randomize(model, 4)
    x, y = building.images(net.batch, net.shape), graphs.targets_of(model, net.batch)
    _, expected = reference.gradients(model, x, y)
    clipped = net.loss.fuses is not None and graphs.largest_loss(model, x, y) > graphs.CLIPPED
    if clipped or graphs.too_sensitive(model, x, y, expected):
        return None
    folder.mkdir()
    write_model(folder, model, loss=type(net.loss).__name__, settings=net.loss.get_config())
    np.savez(folder / "batch.npz", x=x, y=y)
    value, of_weights = model.gradients(x, y)
    return {
        "loss": value,
        **{f"gradient of {path}": gradient for path, gradient in of_weights.items()},
        "gradient of the images": model.input_gradient(x, y=y),
    }


def compare(number: int, ours: dict[str, Any], theirs: dict[str, np.ndarray]) -> Row:
    """Return the largest difference of a net's numbers."""
    of_weights = [np.abs(v).max(initial=0) for what, v in theirs.items() if "/" in what]
    floor = 0.1 * max(of_weights, default=0.0)
    worst = Row(number, 0.0, "none")
    for what, expected in theirs.items():
        largest = max(float(np.abs(expected).max(initial=0)), floor if "/" in what else 0.0, 1e-9)
        difference = float(np.abs(ours[what] - expected).max(initial=0)) / largest
        if not difference <= worst.difference:
            worst = Row(number, difference, what)
    return worst


def main() -> int:
    """Print the worst nets."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer", help="a Python that has torch")
    parser.add_argument("--nets", default="0:300", help="first:last, default: 0:300")
    parser.add_argument("--answer", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.answer:
        for folder in sorted(options.answer.iterdir()):
            answer(folder)
        return 0
    if shutil.which(options.peer or "") is None:
        parser.error("--peer: a Python that has torch.")
    sys.path[:0] = [str(ROOT / "tests" / room) for room in ("helpers", "reference", "graph")]
    warnings.simplefilter("ignore")  # a net drawn at random may be what is seldom meant
    numbers, rows = range(*map(int, options.nets.split(":"))), []
    with tempfile.TemporaryDirectory() as name:
        asked = {number: ask(number, Path(name) / str(number)) for number in numbers}
        subprocess.run([options.peer, "-X", "faulthandler", __file__, "--answer", name], check=True)
        for number, ours in asked.items():
            if ours is not None:
                with np.load(Path(name) / str(number) / "answers.npz") as file:
                    rows.append(compare(number, ours, dict(file)))
    rows.sort(key=lambda row: -row.difference)
    print(f"{len(rows)} nets compared, {len(numbers) - len(rows)} left out; the worst:")
    for row in rows[:5]:
        print(f"net {row.number}: {row.difference:.1e}, {row.what}")
    return int(not rows or not rows[0].difference <= LIMIT)


if __name__ == "__main__":
    sys.exit(main())

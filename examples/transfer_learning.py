"""Few photographs, some of them junk: a new head on a trained network, or training from scratch?

python examples/transfer_learning.py [--epochs 30] [--out runs/transfer_learning.png]

A base learns seven classes of the bundled photographs. The other three lie in a folder as pictures,
with what a search for pictures brings along: empty files, web pages, cut downloads. from_folder
leaves those out and says so. Of a few pictures a class learn: a new head on the frozen base, whose
features are computed once; the whole base, with smaller steps below; and a network from scratch.
"""

from __future__ import annotations

import argparse
import copy
import tempfile
from pathlib import Path

import numpy as np
from bundled_photos import network, trained_base, write_folder
from matplotlib import pyplot

import fastcnn
from fastcnn import data, optimizers

COUNTS, DRAWS = (2, 5, 10, 20), 3
WAYS = {"new head, base frozen": "#2f6fb2", "whole base": "#3f7d3f", "from scratch": "#c2702f"}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--epochs", type=int, default=30)
    options.add_argument("--out", type=Path, default=Path("runs/transfer_learning.png"))
    args = options.parse_args()
    base = trained_base()
    with tempfile.TemporaryDirectory() as folder:
        write_folder(Path(folder))
        images = data.from_folder(folder, (28, 28), color_mode="grayscale", on_error="skip")
    print(images.report)
    x, y, test = images.x, images.labels, np.arange(len(images)) % 3 == 0
    figure, axes = pyplot.subplots(figsize=(7, 4.6), layout="constrained")
    for way, colour in WAYS.items():
        seconds, accuracies = 0.0, np.zeros((len(COUNTS), DRAWS))
        for row, column in np.ndindex(accuracies.shape):
            model = beginning(way, base)
            chosen = few(y, ~test, COUNTS[row], column)
            history = model.fit(x[chosen], y[chosen], 16, args.epochs, verbose=0)
            seconds += sum(history.seconds)
            accuracies[row, column] = 100 * model.evaluate(x[test], y[test], 200)[1]
        mean = accuracies.mean(axis=1)
        axes.errorbar(COUNTS, mean, accuracies.std(axis=1), c=colour, marker="o", label=way)
        print(f"{way}: {mean.round(1)} % with {COUNTS} pictures a class, {seconds:.1f} s")
    axes.set(xlabel="pictures of each new class", ylabel="test accuracy, %")
    axes.set(xscale="log", xticks=COUNTS, xticklabels=COUNTS)
    axes.minorticks_off()
    axes.legend(loc="lower right")
    args.out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(args.out, dpi=110)
    print(args.out)


def beginning(way: str, base: fastcnn.Sequential) -> fastcnn.Sequential:
    """The network that training begins with."""
    model = network(3) if way == "from scratch" else copy.copy(base).replace_head(3)
    if way == "new head, base frozen":
        model.freeze(until="features")
    model.compile(optimizers.Adam(0.003), "sparse_categorical_crossentropy", ["accuracy"])
    if way == "whole base":
        model.learning_rate_multipliers = dict.fromkeys(("conv1", "conv2", "conv3", "conv4"), 0.3)
    return model


def few(labels: np.ndarray, usable: np.ndarray, count: int, seed: int) -> np.ndarray:
    """The numbers of so many pictures of each class, drawn of those that are usable."""
    rng = np.random.default_rng(seed)
    classes = [np.flatnonzero(usable & (labels == label)) for label in range(3)]
    return np.concatenate([rng.choice(numbers, count, replace=False) for numbers in classes])


if __name__ == "__main__":
    main()

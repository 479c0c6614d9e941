"""Desert or beach by two numbers: the most frequent of 64 colours, and the second.

python examples/colour_plane.py [FOLDER] [--out runs/colour_plane.png]

Each channel is cut to four levels, which leaves 64 colours, numbered by red, green and blue. A
picture is a point of the plane: its most frequent colour, and the next. A linear classifier draws a
line, hidden units bend it. FOLDER has a folder of photos a class; drawings stand in for it.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from desert_or_beach import draw_folder
from matplotlib import pyplot

import fastcnn
from fastcnn import data, explain
from fastcnn.layers import Dense, Rescaling

NETWORKS = {"linear": [], "two hidden layers of 32": [32, 32]}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("folder", type=Path, nargs="?")
    options.add_argument("--out", type=Path, default=Path("runs/colour_plane.png"))
    args = options.parse_args()
    with tempfile.TemporaryDirectory() as drawn:
        draw_folder(Path(drawn), 0 if args.folder else 150)
        images = data.from_folder(args.folder or drawn, (64, 64), on_error="skip")
    print(images.report)
    x, y = most_frequent(images.x), images.labels
    held = np.arange(len(x)) % 3 == 0
    spread = np.random.default_rng(0).uniform(-0.7, 0.7, x.shape)  # many fall on one point
    figure, panels = pyplot.subplots(1, 2, figsize=(10, 5.4), layout="constrained", sharey=True)
    for axes, (name, hidden) in zip(panels, NETWORKS.items(), strict=True):
        layers = [Rescaling(1 / 32, -1), *(Dense(units, activation="relu") for units in hidden)]
        layers.append(Dense(len(images.class_names), activation="softmax"))
        model = fastcnn.Sequential(layers, input_shape=(2,), seed=0)
        model.class_names = images.class_names
        model.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
        model.fit(x[~held], y[~held], epochs=300, verbose=0)
        _, accuracy = model.evaluate(x[held], y[held])
        explain.decision_boundary(model, x + spread, y).plot(axes)
        axes.set_xlabel("most frequent colour")
        axes.set_title(f"{name}: {100 * accuracy:.0f} % of the held-out third", loc="left")
        print(f"{name}: {100 * accuracy:.1f} % right")
    panels[0].set_ylabel("second most frequent colour")
    args.out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(args.out, dpi=110)
    print(args.out)


def most_frequent(images: np.ndarray) -> np.ndarray:
    """The numbers of each picture's two most frequent colours, [n, 2]."""
    levels = images // 64
    numbers = (levels @ np.array([16, 4, 1], np.uint8)).reshape(len(images), -1)
    counts = np.stack([np.bincount(picture, minlength=64) for picture in numbers])
    return np.argsort(-counts, axis=1, kind="stable")[:, :2].astype(np.float32)


if __name__ == "__main__":
    main()

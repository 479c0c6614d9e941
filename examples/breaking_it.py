"""Breaking it: how little each pixel has to change until a network says something else.

python examples/breaking_it.py [--epochs 6] [--out runs/breaking_it.png]

The fast gradient sign method (Goodfellow et al., 2015) moves every pixel by epsilon, up or down as
the gradient of the loss says. The curves are the accuracy on the bundled test photographs against
epsilon, of a linear classifier and of a small network; dashed, the same amount of random noise.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from bundled_photos import network
from matplotlib import pyplot

import fastcnn
from fastcnn import data
from fastcnn.layers import Dense, Flatten, Rescaling

EPSILONS = (0, 1, 2, 4, 8, 16, 32)  # of 255
SHOWN = 16


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--epochs", type=int, default=6)
    options.add_argument("--out", type=Path, default=Path("runs/breaking_it.png"))
    args = options.parse_args()
    (x, y), (x_test, y_test) = data.sample()
    figure = pyplot.figure(figsize=(10, 5), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(3, 2))
    axes, panels = left.subplots(), right.subplots(4, 3)
    for name, model, colour in (
        ("linear", linear(), "#6b7785"),
        ("convolutions", network(10), "#2f6fb2"),
    ):
        model.fit(x, y, epochs=args.epochs, batch_size=64, verbose=0)
        images = x_test.astype(np.float32)
        attack = np.sign(model.input_gradient(images, y=y_test))
        noise = np.random.default_rng(0).choice((-1, 1), images.shape).astype(np.float32)
        for direction, style in ((attack, "-"), (noise, "--")):
            changed = [np.clip(images + epsilon * direction, 0, 255) for epsilon in EPSILONS]
            shares = [100 * model.evaluate(some, y_test, 200)[1] for some in changed]
            label = f"{name}, {'attacked' if style == '-' else 'noise'}"
            axes.plot(EPSILONS, shares, style, color=colour, marker="o", label=label)
            print(f"{label}: {np.round(shares, 1)} % for epsilon {EPSILONS}")
    show(panels, model, images, attack, y_test)
    axes.set(xlabel="epsilon, of 255", ylabel="test accuracy, %", ylim=(0, 100))
    axes.legend()
    args.out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(args.out, dpi=110)
    print(args.out)


def linear() -> fastcnn.Sequential:
    layers = [Rescaling(1 / 255), Flatten(), Dense(10, activation="softmax")]
    model = fastcnn.Sequential(layers, input_shape=(28, 28, 1), seed=0)
    model.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
    return model


def show(panels: np.ndarray, model: fastcnn.Sequential, x, attack, y) -> None:
    """Images that were told right, what was added to them, and what they are then taken for."""
    names, fooled = data.class_names("sample"), np.clip(x + SHOWN * attack, 0, 255)
    answers, after = (model.predict(some).argmax(axis=1) for some in (x, fooled))
    for row, place in zip(panels, np.flatnonzero((answers == y) & (after != y)), strict=False):
        pictures = x[place], SHOWN * attack[place], fooled[place]
        titles = names[y[place]], f"± {SHOWN}", names[after[place]]
        for axes, picture, title in zip(row, pictures, titles, strict=True):
            axes.imshow(picture[..., 0], cmap="gray_r")
            axes.set_title(title, fontsize=9)
            axes.axis("off")


if __name__ == "__main__":
    main()

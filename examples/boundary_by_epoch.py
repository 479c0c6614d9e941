"""How a boundary comes about, epoch by epoch: perceptron, linear classifier and hidden units.

python examples/boundary_by_epoch.py [--out runs/boundary_by_epoch.png]

Two clusters, which a line separates, and XOR, which none does. The perceptron, with a rate of 1/t,
stops at the first line without mistakes; the linear classifier goes on to one in the middle; hidden
units bend it. Beside the picture, an animation (.gif) of each training.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from matplotlib import pyplot

import fastcnn
from fastcnn import applications, explain, losses, optimizers, schedules
from fastcnn.layers import Dense

POINTS, EPOCHS = 160, 30


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--out", type=Path, default=Path("runs/boundary_by_epoch.png"))
    args = options.parse_args()
    args.out.parent.mkdir(parents=True, exist_ok=True)
    stories = {
        "perceptron": (perceptron(), clusters()),
        "linear classifier": (classifier([]), clusters()),
        "linear classifier on XOR": (classifier([]), xor()),
        "16 hidden units on XOR": (classifier([16]), xor()),
    }
    figure = pyplot.figure(figsize=(10, 4.9 * len(stories)), layout="constrained")
    parts = figure.subfigures(len(stories), 1)
    for part, name in zip(parts, stories, strict=True):
        model, (points, labels) = stories[name]
        recorder = explain.BoundaryRecorder(points, labels)
        model.fit(points, labels, batch_size=8, epochs=EPOCHS, verbose=0, callbacks=[recorder])
        result = recorder.result()
        result.plot(part.subplots())
        part.suptitle(name, x=0.01, ha="left", fontweight="bold")
        film = result.save(args.out.with_name(f"{name.replace(' ', '_')}.gif"))
        print(f"{name}: {100 * result.accuracies[-1]:.0f} % right, {film}")
    figure.savefig(args.out, dpi=80)
    print(args.out)


def perceptron() -> fastcnn.Sequential:
    """Rosenblatt's: only mistakes change it, each epoch by less than the one before."""
    model = applications.get("perceptron")(input_shape=(2,), classes=1, seed=1)
    rate = schedules.InverseTimeDecay(1.0, decay_steps=POINTS // 8, decay_rate=1.0, staircase=True)
    model.compile(optimizers.SGD(rate), losses.Hinge(margin=0))
    return model


def classifier(hidden: list[int]) -> fastcnn.Sequential:
    layers = [Dense(units, activation="tanh") for units in hidden]
    model = fastcnn.Sequential([*layers, Dense(2, activation="softmax")], (2,), seed=1)
    model.compile(optimizers.Adam(0.03), "sparse_categorical_crossentropy")
    return model


def clusters() -> tuple[np.ndarray, np.ndarray]:
    labels = np.arange(POINTS) % 2
    centres = np.array([[-0.8, 0.6], [0.7, -0.5]])[labels]
    return (centres + np.random.default_rng(0).normal(0, 0.35, centres.shape)), labels


def xor() -> tuple[np.ndarray, np.ndarray]:
    points = np.random.default_rng(0).uniform(-1, 1, (POINTS, 2))
    return points, ((points[:, 0] > 0) ^ (points[:, 1] > 0)).astype(int)


if __name__ == "__main__":
    main()

"""Train on any folder of photos, one folder a class, and draw what was learned.

python examples/photos.py FOLDER [--size 64] [--epochs 30] [--out runs/photos]

Broken files are left out and listed. A fifth of each class is held out; on it are measured the
curves, the confusion matrix and the worst mistakes, which are written as pictures into the run's
folder, beside the model and `report.html`, which shows them all.
"""

from __future__ import annotations

import argparse
import html
from pathlib import Path
from typing import Any

import numpy as np

import fastcnn
from fastcnn import callbacks, data, metrics, plots
from fastcnn.data.augmentation import (
    RandomBrightness,
    RandomContrast,
    RandomFlip,
    RandomRotation,
    RandomTranslation,
    RandomZoom,
)
from fastcnn.layers import (
    BatchNormalization,
    Conv2D,
    Dense,
    Dropout,
    GlobalAveragePooling2D,
    MaxPooling2D,
    Rescaling,
)

AUGMENTATIONS = [
    RandomFlip("horizontal"),
    RandomRotation(0.03),
    RandomZoom(0.15),
    RandomTranslation(0.08, 0.08),
    RandomBrightness(0.1),
    RandomContrast(0.2),
]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("folder", type=Path)
    options.add_argument("--size", type=int, default=64)
    options.add_argument("--epochs", type=int, default=30)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--out", type=Path, default=Path("runs/photos"))
    given = options.parse_args()
    learn(given.folder, given.out, given.size, given.epochs, given.seed)


def learn(folder: Path, out: Path, size: int = 64, epochs: int = 30, seed: int = 0) -> Any:
    """Trains and writes the run's files; returns the model of the lowest validation loss and the
    held-out images."""
    train, held = data.from_folder(
        folder, (size, size), resize="crop", validation_split=0.2, seed=seed, on_error="skip"
    )
    print(train.report)
    out.mkdir(parents=True, exist_ok=True)
    model = network(size, len(train.class_names), seed)
    best = callbacks.ModelCheckpoint(out / "model.h5", save_best_only=True)
    history = model.fit(
        train,
        epochs=epochs,
        validation_data=held,
        augment=AUGMENTATIONS,
        class_weight="balanced",
        callbacks=[best],
    )
    model = fastcnn.load(out / "model.h5")
    draw(model, history, held, out)
    print(f"{out}: model.h5, report.html")
    return model, held


def network(size: int, classes: int, seed: int) -> fastcnn.Sequential:
    """Three convolutions that halve the picture, then an average over it."""
    layers: list[Any] = [Rescaling(1 / 127.5, -1)]
    for filters in (16, 32, 64):
        layers += [
            Conv2D(filters, 3, padding="same", activation="relu"),
            # Few pictures make few steps: their statistics must be followed quickly.
            BatchNormalization(momentum=0.9),
            MaxPooling2D(),
        ]
    layers += [GlobalAveragePooling2D(), Dropout(0.2), Dense(classes, activation="softmax")]
    model = fastcnn.Sequential(layers, input_shape=(size, size, 3), seed=seed)
    model.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
    return model


def draw(model: fastcnn.Sequential, history: Any, held: Any, out: Path) -> None:
    """Curves, confusion matrix and worst mistakes as pictures, and a page that shows them."""
    shares = model.predict(held)
    names = held.class_names
    matrix = metrics.confusion_matrix(held.labels, shares, len(names))
    # The pictures of the mistakes alone: the held-out set may be larger than memory.
    wrong = np.flatnonzero(shares.argmax(axis=1) != held.labels)
    worst = wrong[np.argsort(-shares[wrong].max(axis=1))[:24]]
    images = np.empty((len(worst), *held.image_shape), np.uint8)
    held.images(worst, images)
    plots.curves(history, save=out / "curves.png")
    plots.confusion_matrix(matrix, names, save=out / "confusion.png")
    plots.mistakes(images, held.labels[worst], shares[worst], names, save=out / "mistakes.png")
    accuracy = float(np.diagonal(matrix).sum() / matrix.sum())
    files = [held.files[position] for position in worst]
    page(out / "report.html", str(held.report), accuracy, len(held), files)


def page(path: Path, report: str, accuracy: float, count: int, mistakes: list[str]) -> None:
    """report.html: the pictures, what was found in the folder, and which files were mistaken."""
    pictures = "".join(
        f'<h2>{title}</h2><img src="{name}.png" alt="{title}">'
        for name, title in (
            ("curves", "Curves"),
            ("confusion", "Confusion matrix"),
            ("mistakes", "Worst mistakes"),
        )
    )
    listed = "".join(f"<li>{html.escape(name)}</li>" for name in mistakes)
    path.write_text(
        f'<!doctype html><meta charset="utf-8"><title>Photos</title>'
        f"<style>body{{font-family:sans-serif;max-width:60em;margin:auto}}"
        f"img{{max-width:100%}}</style>"
        f"<h1>{100 * accuracy:.1f} % of {count:,} held-out images right</h1>"
        f"{pictures}<ol>{listed}</ol><h2>The folder</h2><pre>{html.escape(report)}</pre>",
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()

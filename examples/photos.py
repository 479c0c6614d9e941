"""Train on any folder of photos, one folder a class, and draw what was learned.

python examples/photos.py FOLDER [--size 64] [--epochs 30] [--out runs/photos]

Broken files are left out and listed. A fifth of each class is held out; on it are measured the
curves, the confusion matrix and the worst mistakes, which are written as pictures into the run's
folder, beside the model and `report.html`, one page that holds them all.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import report

import fastcnn
from fastcnn import callbacks, data, metrics, plots
from fastcnn.data import (
    RandomBrightness,
    RandomContrast,
    RandomFlip,
    RandomRotation,
    RandomTranslation,
    RandomZoom,
    dataset,
)
from fastcnn.data.folder import file_list
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
    args = options.parse_args()
    try:
        learn(args.folder, args.out, args.size, args.epochs, args.seed)
    except (OSError, ValueError) as error:
        options.exit(1, f"{error}\n")


def learn(folder: Path, out: Path, size: int = 64, epochs: int = 30, seed: int = 0) -> Any:
    """Trains and writes the run's files; returns the model of the lowest validation loss and the
    held-out images."""
    train, held = data.from_folder(
        folder, (size, size), resize="crop", validation_split=0.2, seed=seed, on_error="skip"
    )
    print(train.report)
    out.mkdir(parents=True, exist_ok=True)
    model = network(size, len(train.class_names), seed)
    # An earlier run's model is replaced by a finished one.
    unfinished = out / "unfinished.h5"
    best = callbacks.ModelCheckpoint(unfinished, save_best_only=True)
    history = model.fit(
        train,
        epochs=epochs,
        validation_data=held,
        augment=AUGMENTATIONS,
        class_weight="balanced",
        callbacks=[best],
    )
    model = fastcnn.load(unfinished.replace(out / "model.h5"))
    held = held.usable()  # without files that were damaged behind their headers
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
    """Curves, confusion matrix and worst mistakes as pictures, and a page with all of them."""
    shares, names = model.predict(held), held.class_names
    matrix = metrics.confusion_matrix(held.labels, shares, len(names))
    plots.curves(history, save=out / "curves.png")
    plots.confusion_matrix(matrix, names, save=out / "confusion.png")
    plots.mistakes(held, held.labels, shares, names, save=out / "mistakes.png")
    worst = plots.surest_mistakes(held.labels, shares)[:24]
    mistakes = [
        report.Mistake(
            image=image,
            file=file_list.text(held.files[position]),
            true=names[held.labels[position]],
            predicted=names[shares[position].argmax()],
            probability=float(shares[position].max()),
        )
        for image, position in zip(dataset.read(held, worst), worst, strict=True)
    ]
    accuracy = matrix.diagonal().sum() / matrix.sum()
    report.write(
        out / "report.html",
        f"{100 * accuracy:.1f} % of {len(held):,} held-out images right",
        [
            f"Epoch {model.epoch} of {len(history.epoch)}, chosen by these same images.",
            f"{model!r}, {' x '.join(map(str, model.input_shape))} pixels, resized by "
            f"'{held.decoder.resize}'.",
        ],
        {"Curves": out / "curves.png", "Confusion matrix": out / "confusion.png"},
        matrix,
        names,
        mistakes,
        str(held.report),
    )


if __name__ == "__main__":
    main()

"""What the examples of reuse share: a folder of bundled photographs with junk among them, and a
network that was trained on the other classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

import fastcnn
from fastcnn import data
from fastcnn.layers import (
    BatchNormalization,
    Conv2D,
    Dense,
    GlobalAveragePooling2D,
    MaxPooling2D,
    ReLU,
    Rescaling,
)

NEW = ("Dress", "Pullover", "Sandal")


def network(classes: int, seed: int = 0) -> fastcnn.Sequential:
    """Four convolutions, each normalized, and an average over the picture."""
    layers = [Rescaling(1 / 127.5, -1)]
    for number, filters in enumerate((16, 32, 64, 64)):
        layers += [
            Conv2D(filters, 3, padding="same", use_bias=False, name=f"conv{number + 1}"),
            BatchNormalization(momentum=0.9),
            ReLU(),
        ]
        if number < 2:
            layers.append(MaxPooling2D())
    layers += [GlobalAveragePooling2D(name="features"), Dense(classes, activation="softmax")]
    model = fastcnn.Sequential(layers, input_shape=(28, 28, 1), seed=seed)
    model.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
    return model


def trained_base(epochs: int = 6) -> fastcnn.Sequential:
    """The network, trained on the seven classes that are not new."""
    (x, y), _ = data.sample()
    old = ~np.isin(y, new_labels())
    model = network(7)
    labels = np.searchsorted(np.unique(y[old]), y[old])
    model.fit(x[old], labels, epochs=epochs, batch_size=64)
    return model


def new_labels() -> list[int]:
    return [data.class_names("sample").index(name) for name in NEW]


def write_folder(root: Path, pictures: int = 300) -> None:
    """So many pictures of each new class, and what a search for pictures brings along."""
    (x, y), _ = data.sample()
    for name, label in zip(NEW, new_labels(), strict=True):
        folder = root / name
        folder.mkdir(parents=True)
        for number, picture in enumerate(x[y == label, ..., 0][:pictures]):
            Image.fromarray(picture).save(folder / f"{number:03d}.png")
        (folder / "empty.jpg").touch()
        (folder / "page.jpg").write_text("<html>404: not found</html>", encoding="utf-8")
        whole = (folder / "000.png").read_bytes()
        (folder / "cut.png").write_bytes(whole[: len(whole) // 2])

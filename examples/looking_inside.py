"""Looking inside: seven answers to the question which pixels made a network say what it says.

python examples/looking_inside.py [--epochs 6] [--out runs/looking_inside.png]

A small network learns the bundled photographs. For five test images, a row each, stand the image,
what the network says, and its explanation by each method: gradients (saliency, and two that smooth
them), gradients through a ReLU of another rule (guided backpropagation, deconvnet), the last
feature maps weighted by their gradients (Grad-CAM), and what happens where a square is covered.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from bundled_photos import network
from matplotlib import pyplot

from fastcnn import data, explain

METHODS = {
    "saliency": explain.saliency,
    "SmoothGrad": explain.smooth_grad,
    "integrated\ngradients": explain.integrated_gradients,
    "guided\nbackpropagation": explain.guided_backprop,
    "deconvnet": explain.deconvnet,
    "Grad-CAM": explain.grad_cam,
    "occlusion": explain.occlusion,
}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--epochs", type=int, default=6)
    options.add_argument("--out", type=Path, default=Path("runs/looking_inside.png"))
    args = options.parse_args()
    (x, y), (x_test, y_test) = data.sample()
    model = network(10)
    model.fit(x, y, epochs=args.epochs, batch_size=64, validation_data=(x_test, y_test))
    images = x_test[[int(np.flatnonzero(y_test == label)[0]) for label in (0, 3, 5, 8, 9)]]
    shares, names = model.predict(images), data.class_names("sample")
    columns = len(METHODS) + 1
    figure, panels = pyplot.subplots(len(images), columns, figsize=(11, 7), layout="constrained")
    for axes, image, answer in zip(panels[:, 0], images, shares, strict=True):
        axes.imshow(image[..., 0], cmap="gray_r")
        axes.set_ylabel(f"{names[answer.argmax()]}\n{100 * answer.max():.0f} %", fontsize=9)
    panels[0, 0].set_title("image", fontsize=9)
    for column, (name, method) in zip(panels.T[1:], METHODS.items(), strict=True):
        maps = method(model, images).array  # of each pixel, or of each of its colours
        maps = maps.sum(axis=-1) if maps.ndim == 4 else maps
        column[0].set_title(name, fontsize=9)
        for axes, values in zip(column, maps, strict=True):
            largest = np.abs(values).max()
            axes.imshow(values, cmap="PuOr", vmin=-largest, vmax=largest)
    for axes in panels.ravel():
        axes.set(xticks=[], yticks=[])
    args.out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(args.out, dpi=110)
    print(args.out)


if __name__ == "__main__":
    main()

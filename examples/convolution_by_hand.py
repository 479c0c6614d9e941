"""A convolution by hand: a window of 3 x 3 over an image of 5 x 5, and as a matrix product.

python examples/convolution_by_hand.py [--out runs/convolution.png]

The image and the first filter are those that lectures draw on the board. Each output is the sum of
nine products; written as rows of a matrix (im2col), all of them are one product. A layer with this
kernel, fastcnn's definition of the convolution, and the sums by hand agree.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from matplotlib import pyplot

import fastcnn
from fastcnn.kernels.reference import conv2d_direct
from fastcnn.layers import Conv2D

IMAGE = np.array(
    [[1, 1, 1, 0, 0], [0, 1, 1, 1, 0], [0, 0, 1, 1, 1], [0, 0, 1, 1, 0], [0, 1, 1, 0, 0]],
    np.float32,
)
FILTERS = {
    "cross": [[1, 0, 1], [0, 1, 0], [1, 0, 1]],
    "edges, left to right (Sobel)": [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]],
    "edges, all sides (Laplace)": [[0, -1, 0], [-1, 4, -1], [0, -1, 0]],
    "mean of nine": np.full((3, 3), 1 / 9),
}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--out", type=Path, default=Path("runs/convolution.png"))
    args = options.parse_args()
    figure, panels = pyplot.subplots(3, 4, figsize=(11, 8.2), layout="constrained")
    for (name, weights), column in zip(FILTERS.items(), panels.T, strict=True):
        kernel = np.array(weights, np.float32)
        by_hand = windows(IMAGE) @ kernel.ravel()  # [9 windows, 9 taps] @ [9 taps]
        output = by_hand.reshape(3, 3)
        np.testing.assert_allclose(of_layer(kernel), output, rtol=1e-6)
        x, w = IMAGE[None, :, :, None], kernel[:, :, None, None]
        defined = conv2d_direct(x, w, (1, 1), ((0, 0), (0, 0)), (1, 1))
        np.testing.assert_allclose(defined[0, :, :, 0], output, rtol=1e-6)
        for axes, matrix, title in zip(
            column, (IMAGE, kernel, output), ("image", name, "output"), strict=True
        ):
            grid(axes, matrix, title)
        print(f"{name}:\n{output}\n")
    args.out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(args.out, dpi=110)
    print(args.out)


def windows(image: np.ndarray) -> np.ndarray:
    """Every window of 3 x 3 as a row, as im2col lays them out: [9, 9] for an image of 5 x 5."""
    rows = range(image.shape[0] - 2)
    return np.stack([image[i : i + 3, j : j + 3].ravel() for i in rows for j in rows])


def of_layer(kernel: np.ndarray) -> np.ndarray:
    """What a layer of one filter with this kernel gives."""
    model = fastcnn.Sequential([Conv2D(1, 3, use_bias=False)], input_shape=(5, 5, 1))
    model.set_weights([kernel[:, :, None, None]])
    return model.predict(IMAGE[None, :, :, None])[0, :, :, 0]


def grid(axes: pyplot.Axes, matrix: np.ndarray, title: str) -> None:
    """A matrix as coloured squares with their numbers."""
    largest = np.abs(matrix).max()
    axes.matshow(matrix, cmap="PuOr", vmin=-largest, vmax=largest, alpha=0.45)
    for (i, j), number in np.ndenumerate(matrix):
        axes.text(j, i, f"{number:.3g}", ha="center", va="center", fontsize=9)
    axes.set(title=title, xticks=[], yticks=[])


if __name__ == "__main__":
    main()

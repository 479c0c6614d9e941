"""Make the bundled sample from the full Fashion-MNIST set.

The first 600 training and the first 100 test images of each class, in the published order, so
that the same set always gives the same sample.

    python tools/make_sample.py [OUT.npz]
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fastcnn.data.datasets import SAMPLE_FILE, load

TRAIN_PER_CLASS = 600
TEST_PER_CLASS = 100
MAX_BYTES = 3_500_000


def first_of_each_class(labels: npt.NDArray[np.int32], count: int) -> npt.NDArray[np.int64]:
    """Positions of the first ``count`` images of every class, in ascending order."""
    chosen = [np.flatnonzero(labels == label)[:count] for label in np.unique(labels)]
    return np.sort(np.concatenate(chosen))


def main(out: Path) -> None:
    (x_train, y_train), (x_test, y_test) = load("fashion-mnist")
    train = first_of_each_class(y_train, TRAIN_PER_CLASS)
    test = first_of_each_class(y_test, TEST_PER_CLASS)
    np.savez_compressed(
        out,
        x_train=x_train[train],
        y_train=y_train[train].astype(np.uint8),
        x_test=x_test[test],
        y_test=y_test[test].astype(np.uint8),
    )
    size = out.stat().st_size
    if size > MAX_BYTES:
        raise SystemExit(f"{out} has {size} bytes; at most {MAX_BYTES} are wanted.")
    print(f"{out}: {len(train)} training and {len(test)} test images, {size} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else SAMPLE_FILE)

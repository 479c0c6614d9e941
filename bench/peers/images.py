"""What the competitors of bench/data_augment.py share: images, sizes, figures of two tasks."""

from __future__ import annotations

import numpy as np

COUNT = 8192
SIDE = 32
PADDING = 4
# Of CIFAR-10, in units of 0 to 1.
MEAN = np.array([0.4914, 0.4822, 0.4465])
DEVIATION = np.array([0.2470, 0.2435, 0.2616])

# The second task: degrees, parts of the size, parts of the value, half turns of hue.
DEGREES = 15.0
ZOOM = 0.1
SHIFT = 0.1
BRIGHTNESS = CONTRAST = 0.2
SATURATION = 0.2
HUE = 0.05


def images() -> np.ndarray:
    """uint8 [COUNT, 32, 32, 3], as smooth as photographs are."""
    coarse = np.random.default_rng(0).integers(0, 256, (COUNT, 8, 8, 3), np.uint8)
    return np.repeat(np.repeat(coarse, SIDE // 8, axis=1), SIDE // 8, axis=2)

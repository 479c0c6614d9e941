"""Numbers as pictures: float32 [height, width, 3] from 0 to 1."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Picture: TypeAlias = NDArray[np.float32]
"""float32 [height, width, 3], from 0 to 1."""

JUDGED = 132
"""Pixels of the shorter side of a picture that is right or wrong, at least."""
RIGHT, WRONG = (0.0, 0.45, 0.70), (0.84, 0.37, 0.0)
"""Their frames: blue and vermilion, which readers with any colour vision can tell apart."""


def of_images(images: NDArray[Any]) -> list[Picture]:
    """Return pictures of images as a network takes them: on a scale that they share.

    Args:
        images: uint8, or floats of any range: from 0 to 255 where they look like bytes, from 0 to 1
            where they lie between, else from the least to the largest.

    Returns:
        A picture for each image; of more than three channels their mean.

    Shape:
        images [n, H, W, C].
    """
    low, high = _range(images)
    return [_coloured((image - low) / (high - low)) for image in images.astype(np.float32)]


def normalized(image: NDArray[Any]) -> Picture:
    """Return a picture from an array's least value to its largest.

    Args:
        image: Any numbers.

    Returns:
        The picture; grey where they are all the same.

    Shape:
        image [H, W] or [H, W, C].
    """
    low, high = float(image.min()), float(image.max())
    spread = high - low
    scaled = (image - low) / spread if spread > 0 else np.full_like(image, 0.5)
    return _coloured(scaled if scaled.ndim == 3 else scaled[..., None])


def signed(image: NDArray[Any]) -> Picture:
    """Return a picture in which 0 is grey, as of a gradient.

    Args:
        image: Any numbers.

    Returns:
        The picture.

    Shape:
        image [H, W, C].
    """
    return _coloured(0.5 + 0.5 * image / max(float(np.abs(image).max()), 1e-30))


def heat(values: NDArray[Any], most: float | None = None) -> Picture:
    """Return magnitudes as colours from black to yellow, readable without colour vision.

    Args:
        values: Numbers from 0 on.
        most: What is brightest; None for the largest.

    Returns:
        The picture.

    Shape:
        values [H, W].
    """
    most = float(values.max(initial=0.0)) if most is None else most
    return _mapped("inferno", values / max(most, 1e-30))


def diverging(values: NDArray[Any], most: float | None = None) -> Picture:
    """Return signed numbers as blue below 0, white at 0 and red above.

    Args:
        values: Any numbers.
        most: What is reddest; None for the largest magnitude.

    Returns:
        The picture.

    Shape:
        values [H, W].
    """
    most = float(np.abs(values).max(initial=0.0)) if most is None else most
    return _mapped("RdBu_r", 0.5 + 0.5 * values / max(most, 1e-30))


def over(picture: Picture, values: NDArray[Any], opacity: float = 0.6) -> Picture:
    """Return a grey picture below a heat map, which covers it where it is large.

    Args:
        picture: What lies below.
        values: Numbers from 0 on.
        opacity: How far the largest covers it.

    Returns:
        The picture.

    Shape:
        picture [H, W, 3]; values [H, W].
    """
    share = np.clip(values / max(float(values.max(initial=0.0)), 1e-30), 0, 1)[..., None]
    grey = np.repeat(picture.mean(axis=-1, keepdims=True), 3, axis=-1)
    covered = opacity * np.sqrt(share)
    return ((1 - covered) * grey + covered * heat(values)).astype(np.float32)


def enlarged(picture: NDArray[Any], least: int) -> NDArray[Any]:
    """Return a picture with each pixel as a square of several, so that thin lines can be drawn.

    Args:
        picture: The picture.
        least: Pixels of its shorter side then, at least.

    Returns:
        The picture.

    Shape:
        picture [H, W, ...].
    """
    scale = max(1, -(-least // min(picture.shape[:2])))
    return picture.repeat(scale, axis=0).repeat(scale, axis=1)


def judged(picture: Picture, right: bool) -> Picture:
    """Return a picture in a blue frame where it is right, in a red one and crossed out where not:
    the cross is seen without colours, too.

    Args:
        picture: The picture.
        right: Whether it is.

    Returns:
        The picture, larger.

    Shape:
        picture [H, W, 3].
    """
    large = enlarged(picture, JUDGED)
    height, width = large.shape[:2]
    line = max(2, min(height, width) // 22)
    framed = np.pad(large, ((line, line), (line, line), (0, 0)))
    mark = np.ones(framed.shape[:2], bool)
    mark[line:-line, line:-line] = False
    if not right:
        rows = np.linspace(0, 1, framed.shape[0])[:, None]
        columns = np.linspace(0, 1, framed.shape[1])
        thin = 0.4 * line / max(framed.shape)
        mark |= np.abs(rows + columns - 1) < thin
    framed[mark] = RIGHT if right else WRONG
    return framed


def resized(values: NDArray[Any], height: int, width: int) -> NDArray[np.float32]:
    """Return an array at another size, with straight lines between the centres of its pixels.

    Args:
        values: Any numbers.
        height: Its rows then.
        width: Its columns then.

    Returns:
        The array.

    Shape:
        values [h, w] -> float32 [height, width].
    """
    rows = _between(values.shape[0], height)
    columns = _between(values.shape[1], width)
    return (rows @ values.astype(np.float32) @ columns.T).astype(np.float32)


def _between(size: int, wanted: int) -> NDArray[np.float32]:
    """Return the matrix [wanted, size] that interpolates along one axis."""
    places = np.clip((np.arange(wanted) + 0.5) * size / wanted - 0.5, 0, size - 1)
    lower = np.minimum(places.astype(int), max(size - 2, 0))
    share = places - lower
    matrix = np.zeros((wanted, size), np.float32)
    matrix[np.arange(wanted), lower] = 1 - share
    if size > 1:
        matrix[np.arange(wanted), lower + 1] += share
    return matrix


def _coloured(scaled: NDArray[Any]) -> Picture:
    """Return [H, W, C] with values from 0 to 1 as a picture."""
    channels = scaled.shape[-1]
    if channels not in (1, 3):
        scaled = scaled.mean(axis=-1, keepdims=True)
    return np.repeat(np.clip(scaled, 0, 1), 3 // scaled.shape[-1], axis=-1).astype(np.float32)


def _range(images: NDArray[Any]) -> tuple[float, float]:
    low, high = float(images.min(initial=0.0)), float(images.max(initial=0.0))
    if images.dtype == np.uint8 or (low >= 0 and 1.5 < high <= 255):
        return 0.0, 255.0
    if low >= 0 and high <= 1.5:
        return 0.0, max(high, 1.0)
    low, high = float(images.min()), float(images.max())
    return low, max(high, low + 1e-12)


def _mapped(name: str, shares: NDArray[Any]) -> Picture:
    try:
        from matplotlib import colormaps
    except ImportError as error:
        raise ImportError(
            "Pictures need matplotlib, which is not installed: pip install matplotlib."
        ) from error
    picture: Picture = colormaps[name](np.clip(shares, 0, 1))[..., :3].astype(np.float32)
    return picture

"""albumentations, torchvision v2, Keras's layers, Pillow in bench/data_augment.py, where installed.

Those that work on one image at a time run in as many processes as fastcnn has threads, or in as
many threads; each image draws its own parameters. Keras's layers work on batches with the threads
of PyTorch; its crop takes the same window for a whole batch.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import multiprocessing
import multiprocessing.pool
import os
import platform
import random
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

STARTED = time.perf_counter()
os.environ.setdefault("KERAS_BACKEND", "torch")
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import images  # noqa: E402
import numpy as np  # noqa: E402
import protocol  # noqa: E402

THREADS = int(os.environ.get("FASTCNN_RACE_THREADS", "1"))
# One image uint8 [H, W, C] to one float32.
OneImage = Callable[[np.ndarray], np.ndarray]

_state: dict[str, Any] = {}


def albumentations_steps(mode: str) -> OneImage:
    import albumentations as A
    import cv2

    cv2.setNumThreads(1)
    normalise = A.Normalize(mean=tuple(images.MEAN), std=tuple(images.DEVIATION))
    side = images.SIDE
    if mode == "crop":
        padded = side + 2 * images.PADDING
        steps = [A.PadIfNeeded(padded, padded, border_mode=0), A.RandomCrop(side, side)]
        whole = A.Compose([*steps, A.HorizontalFlip(p=0.5), normalise])
    else:
        low, high = 1 - images.ZOOM, 1 + images.ZOOM
        affine = A.Affine(
            rotate=(-images.DEGREES, images.DEGREES),
            scale=(low, high),
            translate_percent=(-images.SHIFT, images.SHIFT),
            p=1,
        )
        colour = A.ColorJitter(
            images.BRIGHTNESS, images.CONTRAST, images.SATURATION, images.HUE, p=1
        )
        whole = A.Compose([affine, colour, normalise])
    return lambda image: whole(image=image)["image"]


def torchvision_steps(mode: str) -> OneImage:
    import torch
    from torchvision.transforms import v2

    torch.set_num_threads(1)
    to_float = v2.ToDtype(torch.float32, scale=True)
    normalise = v2.Normalize(images.MEAN.tolist(), images.DEVIATION.tolist())
    if mode == "crop":
        crop = v2.RandomCrop(images.SIDE, padding=images.PADDING)
        whole = v2.Compose([crop, v2.RandomHorizontalFlip(), to_float, normalise])
    else:
        affine = v2.RandomAffine(
            images.DEGREES,
            (images.SHIFT, images.SHIFT),
            (1 - images.ZOOM, 1 + images.ZOOM),
            interpolation=v2.InterpolationMode.BILINEAR,
        )
        colour = v2.ColorJitter(images.BRIGHTNESS, images.CONTRAST, images.SATURATION, images.HUE)
        whole = v2.Compose([affine, colour, to_float, normalise])

    def transform(image: np.ndarray) -> np.ndarray:
        return whole(torch.from_numpy(image).permute(2, 0, 1)).permute(1, 2, 0).numpy()

    return transform


def pillow_steps(mode: str) -> OneImage:
    from PIL import Image, ImageEnhance, ImageOps

    scale = (1 / (255 * images.DEVIATION)).astype(np.float32)
    offset = (-images.MEAN / images.DEVIATION).astype(np.float32)
    side = images.SIDE

    def crop(image: Image.Image) -> Image.Image:
        padded = ImageOps.expand(image, images.PADDING)
        x, y = (random.randrange(2 * images.PADDING + 1) for _ in range(2))
        cut = padded.crop((x, y, x + side, y + side))
        return ImageOps.mirror(cut) if random.random() < 0.5 else cut

    def affine(image: Image.Image) -> Image.Image:
        angle = np.deg2rad(random.uniform(-images.DEGREES, images.DEGREES))
        zoom = random.uniform(1 - images.ZOOM, 1 + images.ZOOM)
        cosine, sine = np.cos(angle) * zoom, np.sin(angle) * zoom
        middle = (side - 1) / 2
        x, y = (random.uniform(-images.SHIFT, images.SHIFT) * side + middle for _ in range(2))
        terms = (
            *(cosine, sine, x - cosine * middle - sine * middle),
            *(-sine, cosine, y + sine * middle - cosine * middle),
        )
        image = image.transform(
            (side, side), Image.Transform.AFFINE, terms, Image.Resampling.BILINEAR
        )
        for enhance, part in (
            (ImageEnhance.Brightness, images.BRIGHTNESS),
            (ImageEnhance.Contrast, images.CONTRAST),
            (ImageEnhance.Color, images.SATURATION),
        ):
            image = enhance(image).enhance(random.uniform(1 - part, 1 + part))
        return image

    change = crop if mode == "crop" else affine
    return lambda image: np.asarray(change(Image.fromarray(image)), np.float32) * scale + offset


def keras_steps(mode: str) -> Callable[[np.ndarray], Any]:
    """A batch at a time."""
    import torch
    from keras import layers, ops

    torch.set_num_threads(THREADS)
    if mode == "crop":
        side = images.SIDE
        steps = [
            layers.ZeroPadding2D(images.PADDING),
            layers.RandomCrop(side, side),
            layers.RandomFlip("horizontal"),
        ]
    else:
        steps = [
            layers.RandomRotation(images.DEGREES / 360, fill_mode="nearest"),
            layers.RandomZoom(images.ZOOM, fill_mode="nearest"),
            layers.RandomTranslation(images.SHIFT, images.SHIFT, fill_mode="nearest"),
            layers.RandomBrightness(images.BRIGHTNESS),
            layers.RandomContrast(images.CONTRAST),
            layers.RandomSaturation((0.45, 0.55)),
            layers.RandomHue(2 * images.HUE),
        ]
    mean, variance = 255 * images.MEAN, (255 * images.DEVIATION) ** 2
    steps.append(layers.Normalization(mean=mean, variance=variance))

    def batch(x: np.ndarray) -> Any:
        y = ops.convert_to_tensor(x.astype(np.float32))
        for step in steps:
            y = step(y, training=True) if "Random" in type(step).__name__ else step(y)
        return ops.convert_to_numpy(y)

    return batch


ONE_AT_A_TIME = {
    "albumentations": albumentations_steps,
    "torchvision": torchvision_steps,
    "PIL": pillow_steps,
}


def _work(part: tuple[int, int]) -> None:
    """In a process of its own, or in a thread: the images of one part."""
    transform, x, out = _state["transform"], _state["x"], _state["out"]
    for k in range(*part):
        out[k] = transform(x[k % len(x)])


def _begin(package: str, mode: str, shared: Any, x: np.ndarray) -> None:
    out = np.frombuffer(shared, np.float32).reshape(-1, *x.shape[1:])
    random.seed(os.getpid())
    _state.update(transform=ONE_AT_A_TIME[package](mode), x=x, out=out)


def parts(count: int) -> list[tuple[int, int]]:
    ends = np.linspace(0, count, THREADS + 1).astype(int).tolist()
    return list(pairwise(ends))


class Peers:
    """See protocol.Competitor. The mode is the task."""

    def describe(self) -> dict[str, Any]:
        installed = [name for name in ONE_AT_A_TIME if importlib.util.find_spec(name)]
        variants = [f"{name} {how}" for name in installed for how in ("processes", "threads")]
        if all(importlib.util.find_spec(name) for name in ("keras", "torch")):
            installed.append("keras")
            variants.append("keras")
        names = {name: "pillow" if name == "PIL" else name for name in installed}
        versions = {name: importlib.metadata.version(names[name]) for name in installed}
        versions["python"] = platform.python_version()
        return {"versions": versions, "variants": {"crop": variants, "affine": variants}}

    def step(self, task: protocol.Task) -> protocol.Step:
        x = images.images()
        if task.variant == "keras":
            batch, part = keras_steps(task.mode), x[: task.batch]
            return lambda: batch(part)
        package, how = task.variant.split()
        shared = multiprocessing.RawArray("f", task.batch * x[0].size)
        # Here first: a pool whose workers cannot begin would start new ones for ever.
        _begin(package, task.mode, shared, x)
        _work((0, 1))
        workers: Any = (
            multiprocessing.get_context("spawn").Pool(
                THREADS, _begin, (package, task.mode, shared, x)
            )
            if how == "processes"
            else multiprocessing.pool.ThreadPool(THREADS)
        )
        state = dict(_state)

        def step() -> None:
            _state.update(state)
            workers.map(_work, parts(task.batch), chunksize=1)

        return step


if __name__ == "__main__":
    protocol.main(Peers, STARTED)

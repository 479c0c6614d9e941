"""`fastcnn data`: pack, check, measure and show images."""

from __future__ import annotations

import argparse
import json
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fastcnn import plots
from fastcnn.cli import sources
from fastcnn.cli.errors import UsageError
from fastcnn.data import inspection, packed
from fastcnn.data.augmentation import Augment


def run(given: argparse.Namespace) -> int:
    """Does what the action says, and prints what came of it."""
    actions: dict[str, Callable[[argparse.Namespace], int]] = {
        "pack": _pack,
        "check": _check,
        "stats": _stats,
        "show": _show,
    }
    with warnings.catch_warnings():
        # The reports printed below say the same, and more.
        warnings.filterwarnings("ignore", message="from_folder: ")
        return actions[given.action](given)


def _pack(given: argparse.Namespace) -> int:
    images = sources.opened(given, given.on_error)
    out = Path(given.out)
    if out.exists() and Path(given.source).exists() and os.path.samefile(out, given.source):
        raise UsageError(f"'{out}' cannot be packed into itself.")
    packed.pack(images, out)
    written = packed.from_packed(out)
    shape = " x ".join(str(side) for side in written.image_shape)
    size = out.stat().st_size
    sentence = f"{out}: {len(written):,} images of {shape}, {size / 2**20:,.1f} MiB."
    described = {
        "file": str(out),
        "bytes": size,
        "image_shape": list(written.image_shape),
        **written.report.described(),
    }
    _print(given, described, f"{written.report}\n{sentence}")
    return 0


def _check(given: argparse.Namespace) -> int:
    path = Path(given.source)
    if path.is_dir():
        found = inspection.inspect_folder(path, workers=given.threads)
        _print(given, found.described(), str(found))
        return 1 if found.report.skipped or not found.report.images else 0
    if path.suffix not in sources.PACKED or not path.is_file():
        raise UsageError(f"'{path}' is neither a folder nor a packed file (.h5).")
    images = packed.from_packed(path)
    damaged = [position for _, wrong in images.damaged() for position in wrong]
    names = [images.files[position] for position in damaged]
    described = {"file": str(path), **images.report.described(), "damaged": names}
    words = f"{len(damaged):,} images are damaged: {', '.join(names[:20])}"
    verdict = words if damaged else "Every image is as it was packed."
    _print(given, described, f"{images.report}\n{verdict}")
    return 1 if damaged else 0


def _stats(given: argparse.Namespace) -> int:
    found = inspection.measure(sources.opened(given))
    _print(given, found.described(), str(found))
    return 0


def _show(given: argparse.Namespace) -> int:
    augment = Augment(sources.augmentations(given.augment), given.seed)
    images = sources.opened(given)
    chosen = np.random.default_rng(given.seed).permutation(len(images))[: given.count]
    raw = np.empty((len(chosen), *images.image_shape), np.uint8)
    images.images(chosen, raw)
    seen = augment.apply_batch(raw, chosen, given.epoch) if given.augment else raw
    if not augment.preprocessing:
        seen = np.clip(np.rint(seen), 0, 255).astype(np.uint8)
    labels = np.asarray(images.labels)[chosen]
    plots.images(seen, labels, images.class_names, save=given.out)
    _print(
        given,
        {"file": given.out, "images": len(chosen), "image_shape": list(seen.shape[1:])},
        f"{given.out}: {len(chosen)} of {len(images):,} images.",
    )
    return 0


def _print(given: argparse.Namespace, described: dict[str, Any], text: str) -> None:
    print(json.dumps(described) if given.json else text)

"""`fastcnn data`: pack, check, measure and show images."""

from __future__ import annotations

import argparse
import itertools
import json
import os
import warnings
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastcnn import plots
from fastcnn.cli.commands import data_check
from fastcnn.cli.options import augment
from fastcnn.cli.options.decoding import Reading
from fastcnn.cli.options.errors import UsageError
from fastcnn.cli.resolve import dataset, folder_set, shared_images, source
from fastcnn.data.augment.preprocessing import CenterCrop
from fastcnn.data.files import pack, packed
from fastcnn.data.folder import inspection
from fastcnn.data.folder.image_folder import ImageFolder
from fastcnn.data.pipeline.batches import Batches
from fastcnn.data.pipeline.transform import Transform
from fastcnn.training import augment_argument
from fastcnn.utils.naming import shown


def run(args: argparse.Namespace) -> int:
    """Does what the action says, and prints what came of it."""
    actions: dict[str, Callable[[argparse.Namespace], int]] = {
        "pack": _pack,
        "check": _check,
        "stats": _stats,
        "show": _show,
    }
    return actions[args.action](args)


def _pack(args: argparse.Namespace) -> int:
    images = source.opened(args)
    out = Path(args.out)
    if all(map(os.path.exists, (out, args.source))) and os.path.samefile(out, args.source):
        raise UsageError(f"'{out}' cannot be packed into itself.")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".* cannot be used, or no longer")  # see below
        pack.pack(images, out)
    written = packed.from_packed(out)
    shape = " x ".join(str(side) for side in written.image_shape)
    size = out.stat().st_size
    sentence = f"{shown(str(out))}: {len(written):,} images of {shape}, {size / 2**20:,.1f} MiB."
    described = {
        "file": str(out),
        "bytes": size,
        "image_shape": list(written.image_shape),
        **written.report.described(),
    }
    _print(args, described, f"{written.report}\n{sentence}")
    return 0


def _check(args: argparse.Namespace) -> int:
    if Path(args.source).is_dir():
        return _check_folder(args)
    images = dataset.opened(args.source, Reading.of(args))
    images.refuse_outputs("fastcnn data")
    if images.train is not None and isinstance(images.train.x, packed.PackedImages):
        return _check_packed(args, images.train.x)
    seen = data_check.looked_at(images)
    _print(args, seen.described(), str(seen))
    return 1 if seen.damage else 0


def _check_folder(args: argparse.Namespace) -> int:
    """Check a folder, or each of its parts."""
    reading = Reading.of(args)
    parts = folder_set.layout_of(args.source, reading).parts
    layout = "classes" if reading.layout == "classes" else "auto"
    folders = {
        kind: inspection.inspect_folder(part, workers=args.threads, layout=layout)
        for kind, part in (parts or {"": args.source}).items()
    }
    described = {kind: folder.described() for kind, folder in folders.items()}
    shared = _shared(folders)
    text = "\n".join([*map(str, folders.values()), *shared])
    _print(args, {"parts": described, "notes": shared} if parts else described[""], text)
    reports = [folder.report for folder in folders.values()]
    return 1 if any(report.skipped or not report.images for report in reports) else 0


def _shared(folders: dict[str, inspection.Inspection]) -> list[str]:
    """A sentence for each two parts that have pictures in common."""
    sentences = (
        shared_images.sentence(
            first.listing, second.listing, f"images of '{other}' are in '{kind}'"
        )
        for (kind, first), (other, second) in itertools.combinations(folders.items(), 2)
    )
    return [words for words in sentences if words is not None]


def _check_packed(args: argparse.Namespace, images: packed.PackedImages) -> int:
    damaged = [position for _, wrong in images.damaged() for position in wrong]
    names = [images.files[position] for position in damaged]
    described = {"file": images.path, **images.report.described(), "damaged": names}
    words = f"{len(damaged):,} images are damaged: {', '.join(names[:20])}"
    verdict = words if damaged else "Every image is as it was packed."
    _print(args, described, f"{images.report}\n{verdict}")
    return 1 if damaged else 0


def _stats(args: argparse.Namespace) -> int:
    images = source.opened(args)
    if images.dtype == np.uint8:
        measured = inspection.measure(images)
        text = str(measured)
    else:
        measured = data_check.measure_floats(images)
        text = data_check.of_floats(measured)
    _print(args, measured.described(), text)
    return 0


def _show(args: argparse.Namespace) -> int:
    out = Path(args.out)
    if not out.parent.is_dir():
        raise UsageError(f"--out: there is no folder '{out.parent}' to write '{out.name}' into.")
    images = source.opened(args)
    transform = _transform(images, args)
    chosen = np.random.default_rng(args.seed).permutation(len(images))[: args.count]
    seen, targets = _batch(images, transform, chosen, args.epoch)
    if all(isinstance(step, CenterCrop) for step in transform.preprocessing):
        seen = np.clip(np.rint(seen), 0, 255).astype(np.uint8)
    titles = [_title(shares, images.class_names) for shares in targets]
    plots.images(seen, range(len(seen)), titles, save=out)
    _print(
        args,
        {"file": args.out, "images": len(seen), "image_shape": list(seen.shape[1:])},
        f"{shown(args.out)}: {len(seen)} of {len(images):,} images.",
    )
    return 0


class _ImagesSpec(NamedTuple):
    """What a model would say of its images."""

    seed: int
    preprocessing: list[Any]
    input_shape: tuple[int, ...]


def _transform(images: Any, args: argparse.Namespace) -> Transform:
    """What a training with the augmentations would do to the images."""
    listed = augment.parse(args.augment, images.image_shape)
    spec = _ImagesSpec(args.seed, [], tuple(images.image_shape))
    try:
        return augment_argument.make(spec, images, listed, lambda: images)
    except (TypeError, ValueError) as error:
        raise UsageError(f"--augment: {error}") from None


def _batch(
    images: Any, transform: Transform, chosen: NDArray[np.int64], epoch: int
) -> tuple[NDArray[Any], NDArray[np.float32]]:
    """The chosen images as one batch of training, and how much of each class is in each."""
    shares = np.eye(len(images.class_names), dtype=np.float32)[np.asarray(images.labels)]
    batches = Batches(
        *(images, shares, None, len(chosen), chosen),
        transform=transform,
        epoch=epoch,
        workers=0,
        leave_out=True,
    )
    with closing(iter(batches)) as prepared:
        seen, targets, _ = next(prepared, (None, None, None))
    if isinstance(images, ImageFolder):
        images.damage.warn()
    if seen is None or targets is None:
        raise UsageError("None of the images that were drawn can be read.")
    return seen, targets


def _title(shares: NDArray[np.float32], names: list[str]) -> str:
    """The class of an image, or how it is mixed."""
    parts = [(names[label], float(shares[label])) for label in np.flatnonzero(shares > 0.005)]
    if len(parts) == 1:
        return parts[0][0]
    return ", ".join(f"{100 * share:.0f} % {name}" for name, share in parts)


def _print(args: argparse.Namespace, described: dict[str, object], text: str) -> None:
    print(json.dumps(described) if args.json else text)

"""The augmentations that --augment names."""

from __future__ import annotations

import argparse
import ast
from collections.abc import Sequence
from typing import Any

from fastcnn.cli.options.errors import UsageError
from fastcnn.data.augment.augment import Augment
from fastcnn.data.augment.mixing import MIXINGS, Mixing
from fastcnn.data.augment.registry import AUGMENTATIONS
from fastcnn.utils import naming

SHORT = {
    "flip": "RandomFlip('horizontal')",
    "crop": "RandomCrop({height}, {width}, padding={eighth})",
    "rotation": "RandomRotation(0.05)",
    "zoom": "RandomZoom(0.15)",
    "translation": "RandomTranslation(0.1, 0.1)",
    "shear": "RandomShear(0.1, 0.1)",
    "brightness": "RandomBrightness(0.1)",
    "contrast": "RandomContrast(0.2)",
    "saturation": "RandomSaturation((0.4, 0.6))",
    "hue": "RandomHue(0.05)",
    "blur": "RandomGaussianBlur()",
    "noise": "GaussianNoise(8)",
    "erasing": "RandomErasing()",
    "mixup": "MixUp()",
    "cutmix": "CutMix()",
}
"""What short names stand for; in "crop", the size is the images' own."""

HELP = (
    f"augmentations separated by commas: {', '.join(SHORT)}; or names of classes of fastcnn.data "
    "with arguments as in Python, such as 'RandomRotation(0.1),flip'; may be given many times"
)


def parse(texts: Sequence[str], shape: tuple[int, ...], option: str = "--augment") -> list[Any]:
    """The augmentations of all texts, for images of the shape (H, W, C)."""
    return [augmentation for text in texts for augmentation in _of_text(text, shape, option)]


def views(args: argparse.Namespace, shape: tuple[int, ...]) -> dict[str, Any]:
    """What --tta and --passes make of `predict` and `evaluate`, for images of the shape."""
    if args.tta is None and args.passes is not None:
        raise UsageError("--passes: --tta says what is passed over; give both or neither.")
    return {"augment": args.tta and parse(args.tta, shape, "--tta"), "passes": args.passes}


def shape_after(listed: Sequence[object], shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of an image after the augmentations."""
    # What is still to be fitted needs images before it knows their shape, and keeps it.
    changing = [
        augmentation
        for augmentation in listed
        if not isinstance(augmentation, Mixing) and getattr(augmentation, "fitted", True)
    ]
    if not changing:
        return shape
    try:
        return tuple(Augment(changing).output_shape(shape))  # type: ignore[arg-type]
    except ValueError as error:
        raise UsageError(f"--augment: {error}") from None


def _of_text(text: str, shape: tuple[int, ...], option: str) -> list[Any]:
    try:
        listed = ast.parse(text.strip(), mode="eval").body
        return [_constructed(part, shape) for part in getattr(listed, "elts", [listed])]
    except (SyntaxError, TypeError, ValueError) as error:
        raise UsageError(f"{option} '{text}': {error}") from None


def _constructed(call: ast.expr, shape: tuple[int, ...]) -> Any:
    """The object of a name, or of a name with arguments."""
    if isinstance(call, ast.Name) and call.id in SHORT:
        height, width = shape[:2]
        sizes = {"height": height, "width": width, "eighth": max(1, min(height, width) // 8)}
        call = ast.parse(SHORT[call.id].format(**sizes), mode="eval").body
    name = call.func if isinstance(call, ast.Call) else call
    if not isinstance(name, ast.Name):
        raise ValueError("expected a name, or a name with arguments in parentheses")
    classes: dict[str, Any] = {**AUGMENTATIONS, **MIXINGS}
    if name.id not in SHORT:
        classes |= SHORT  # for the nearest name in the complaint
    kind = naming.lookup("augmentation", name.id, classes)
    positional, named = [], {}
    if isinstance(call, ast.Call):
        positional = [ast.literal_eval(node) for node in call.args]
        named = {str(node.arg): ast.literal_eval(node.value) for node in call.keywords}
    return kind(*positional, **named)

"""How folders of pictures become images: the options of every command that takes one."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from typing import Any

from fastcnn.cli.options.errors import UsageError
from fastcnn.cli.options.types import size
from fastcnn.data.folder.layout import LAYOUTS
from fastcnn.data.images.decoder import COLOR_MODES, RESIZE_MODES, Decoder

DEFAULT = Decoder(64, 64)


@dataclass(frozen=True)
class Reading:
    """How a folder is read. What is None is left to the model, or else as in DEFAULT. quiet: what
    is left out is not told."""

    image_size: tuple[int, int] | None = None
    color: str | None = None
    resize: str | None = None
    on_error: str = "skip"
    in_memory: bool | None = None
    workers: int | None = None
    layout: str = "auto"
    quiet: bool = False

    @classmethod
    def of(cls, options: Any, workers: int | None = None, **settings: Any) -> Reading:
        """What options of the same names say."""
        names = ("image_size", "color", "resize", "on_error", "layout")
        values = {name: getattr(options, name, None) for name in names}
        said: dict[str, Any] = {name: value for name, value in values.items() if value is not None}
        return cls(workers=workers, **said, **settings)

    def decoder(self, base: Decoder | None) -> Decoder:
        """What makes an image of a file; `base` is the model's, or None."""
        base = base or DEFAULT
        height, width = self.image_size or (base.height, base.width)
        return replace(
            base,
            height=height,
            width=width,
            color_mode=self.color or base.color_mode,
            resize=self.resize or base.resize,
        )

    def refuse_for(self, source: str) -> None:
        """UsageError where the command line says how files are read, and `source` has none."""
        for name in ("image_size", "color", "resize", "layout"):
            if getattr(self, name) not in (None, "auto"):
                raise UsageError(
                    f"--{name.replace('_', '-')} is for folders of pictures. The images of "
                    f"'{source}' stay as they are."
                )


def add_options(command: argparse.ArgumentParser, otherwise: str) -> None:
    """The options on how a folder's pictures become images; `otherwise` says whose the defaults
    are."""
    add = command.add_argument
    add(
        "--image-size",
        "--size",
        type=size,
        metavar="H[xW]",
        help=f"of a folder's pictures ({otherwise}64)",
    )
    add("--color", choices=tuple(COLOR_MODES), help=f"of a folder's pictures ({otherwise}rgb)")
    add(
        "--resize",
        choices=RESIZE_MODES,
        help=f"how pictures of other proportions are made to fit ({otherwise}stretch)",
    )
    add_layout(command)


def add_layout(command: argparse.ArgumentParser) -> None:
    """The option on what the folders in a folder are."""
    command.add_argument(
        "--layout",
        choices=LAYOUTS,
        help="what a folder's folders are: classes, or parts, 'train' beside 'val' or 'test', with "
        "a folder a class in each (default: auto, by their names)",
    )


def add_on_error(command: argparse.ArgumentParser, default: str = "skip") -> None:
    """The option on what is done about files that cannot be used."""
    command.add_argument(
        "--on-error",
        choices=("skip", "raise"),
        help=f"leave out files that cannot be used, and say so, or fail (default: {default})",
    )

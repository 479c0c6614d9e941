"""How a folder of pictures is laid out: a folder a class, or parts that hold such folders.

The folder that holds the classes, or the parts, may be the only one in another one.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from fastcnn.data.folder.system_names import is_hidden
from fastcnn.data.images.file_format import is_shortage
from fastcnn.utils.naming import printable

ORDER = ("train", "validation", "test")
KINDS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
"""What folders of parts are called, in lower case: the part of each."""

LAYOUTS = ("auto", "classes", "parts")
DEPTH = 8
"""Folders within folders that are seen through; links may lead in a circle."""


@dataclass(frozen=True)
class Layout:
    """What the folders in a folder are.

    Args:
        root: The folder that holds the classes or the parts, as a path.
        parts: The paths of the parts by kind, "train", "validation" and "test"; none where `root`
            holds classes.
        unlabelled: Folders named as parts whose pictures are in no class's folder.
        doubt: Why it cannot be told whether these are parts or classes; empty where it can.
    """

    root: str
    parts: dict[str, str] = field(default_factory=dict)
    unlabelled: tuple[str, ...] = ()
    doubt: str = ""


def find_layout(path: str | os.PathLike[str], expected: str = "auto") -> Layout:
    """Return how a folder is laid out.

    Args:
        path: The folder.
        expected: "auto" goes by names and by what the folders hold, "parts" by names alone;
            "classes" takes every folder for a class.

    Raises:
        ValueError: Parts are expected, and there are none.
        OSError: The folder cannot be read.
    """
    root = os.fspath(path)
    if expected == "classes":
        return Layout(root)
    for _ in range(DEPTH):
        folders, _ = _content(root)  # files beside the folder, such as a licence, are none of it
        if len(folders) != 1 or not _holds_folders_alone(os.path.join(root, folders[0])):
            break
        root = os.path.join(root, folders[0])
    layout = _parts(root, folders)
    if expected == "parts":
        if "train" not in layout.parts:
            raise ValueError(
                f"'{root}' must hold a folder 'train' with one folder a class. "
                f"It holds {_listed(folders) or 'no folder'}."
            )
        return Layout(root, layout.parts, layout.unlabelled)
    return layout


def _parts(root: str, folders: list[str]) -> Layout:
    named = {name: KINDS[name.lower()] for name in folders if name.lower() in KINDS}
    labelled = {
        name: kind for name, kind in named.items() if _holds_folders(os.path.join(root, name))
    }
    by_kind = {
        kind: os.path.join(root, name)
        for name, kind in sorted(labelled.items(), key=lambda pair: ORDER.index(pair[1]))
    }
    unlabelled = tuple(name for name in named if name not in labelled)
    others = [name for name in folders if name not in named]
    if not named or (len(named) == 1 and not (others and _all_parts(root, labelled))):
        return Layout(root)
    if len(set(named.values())) < len(named):
        doubt = f"two of {_listed(list(named))} are of one kind"
    elif others:
        doubt = f"beside {_listed(list(named))} there is {_listed(others)}"
    elif "train" not in named.values():
        doubt = f"there is {_listed(list(named))} and no 'train'"
    else:
        doubt = "" if "train" in by_kind else "the one for training holds no folder of a class"
    return Layout(root, by_kind, unlabelled, doubt)


def _all_parts(root: str, labelled: dict[str, str]) -> bool:
    """Whether folders named as parts hold folders alone, as those of a class seldom do."""
    return bool(labelled) and all(
        _holds_folders_alone(os.path.join(root, name)) for name in labelled
    )


def _content(folder: str) -> tuple[list[str], list[str]]:
    """The names of the folders and of the files in a folder, without hidden ones, sorted."""
    folders: list[str] = []
    files: list[str] = []
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if not is_hidden(entry.name):
                (folders if _is_folder(entry) else files).append(entry.name)
    return folders, files


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError as error:  # of a link that leads in a circle
        if is_shortage(error):
            raise
        return False


def _content_if_readable(folder: str) -> tuple[list[str], list[str]]:
    try:
        return _content(folder)
    except OSError as error:
        if is_shortage(error):
            raise
        return [], []


def _holds_folders(folder: str) -> bool:
    return bool(_content_if_readable(folder)[0])


def _holds_folders_alone(folder: str) -> bool:
    """Whether a folder holds folders and no file."""
    folders, files = _content_if_readable(folder)
    return bool(folders) and not files


def _listed(names: list[str]) -> str:
    shown = ", ".join(f"'{printable(name)}'" for name in names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"

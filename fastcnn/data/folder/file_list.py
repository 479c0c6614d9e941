"""The files of a folder of images, class by class: found, sorted, not yet opened."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fastcnn.data.folder.layout import Layout, find_layout
from fastcnn.data.folder.scan_report import LeftOut, Report
from fastcnn.data.folder.system_names import is_hidden
from fastcnn.data.images.file_format import is_shortage
from fastcnn.utils.naming import printable


@dataclass
class Listing:
    """The files of a folder, sorted by class, then by path.

    Args:
        root: The folder.
        files: Their paths within it, parts joined by "/".
        labels: The class of each, int32 [n].
        class_names: By label.
        report: What was left out, and why.
    """

    root: str
    files: list[str]
    labels: npt.NDArray[np.int32]
    class_names: list[str]
    report: Report


def list_folder(
    root: str | os.PathLike[str], class_names: Sequence[str] | None = None, layout: str = "auto"
) -> Listing:
    """Return the listing of a folder that holds one folder a class.

    Files of folders within these belong to the class. A folder without a file is no class, and the
    report names it; so does it what is hidden or a system's own, as `@eaDir` and `__MACOSX`, which
    is passed over. Links are followed; a folder that is reached a second time, as by a link in a
    loop, is left out. A folder that only holds the folder with the classes is seen through.

    Args:
        root: The folder.
        class_names: Chooses classes and their order, and may name some that have no folder here;
            without it, all folders, sorted by name.
        layout: "classes" takes every folder for a class, "auto" not those of a set's parts.

    Raises:
        FileNotFoundError: There is no such folder.
        NotADirectoryError: It is a file.
        ValueError: It has no class or no file, or its folders are, or may be, parts of a set.
    """
    root = os.fspath(root)
    if not os.path.isdir(root):
        kind = NotADirectoryError if os.path.exists(root) else FileNotFoundError
        raise kind(f"from_folder: expected a folder with one folder a class. Received '{root}'.")
    about_layout = []
    if class_names is None and layout == "auto":
        tree = find_layout(root)
        _refuse_parts(tree)
        if tree.root != root:
            about_layout = [
                f"The classes are those of '{printable(tree.root)}', the only folder in "
                f"'{printable(root)}'."
            ]
            root = tree.root
    walk = _Walk(root)
    folders = walk.class_folders()
    names = _chosen(root, folders, class_names)
    files_of = {
        name: sorted(walk.files(folders[name])) if name in folders else [] for name in names
    }
    empty = []
    if class_names is None:
        empty = [name for name in names if not files_of[name] and walk.is_empty(folders[name])]
        names = [name for name in names if name not in empty]
    files = [path for name in names for path in files_of[name]]
    if not files:
        raise ValueError(f"from_folder: the class folders of '{root}' hold no file.")
    counts = [len(files_of[name]) for name in names]
    labels = np.repeat(np.arange(len(names), dtype=np.int32), counts)
    walk.skipped.sort(key=lambda left: left.path)
    walk.ignored.sort(key=lambda left: left.path)
    report = Report(printable(root), names, counts, walk.skipped, walk.ignored, empty=empty)
    report.about_layout = about_layout
    return Listing(root, files, labels, names, report)


def _refuse_parts(layout: Layout) -> None:
    """ValueError where the folders in a folder are parts of a set, or may be."""
    if layout.doubt:
        raise ValueError(
            f"from_folder: '{layout.root}' may hold classes or the parts of a set: {layout.doubt}. "
            "layout='classes' takes every folder for a class."
        )
    if layout.parts:
        paths = list(layout.parts.values())
        others = f", and '{paths[1]}' with class_names=train.class_names" if paths[1:] else ""
        raise ValueError(
            f"from_folder: '{layout.root}' holds the parts of a set, not its classes. Read each by "
            f"itself: train = from_folder('{layout.parts['train']}'){others}. layout='classes' "
            "takes every folder for a class."
        )


def files_under(root: str | os.PathLike[str]) -> list[str]:
    """Return the paths of all files in a folder and the folders in it, within it, sorted.

    Hidden ones are left out, and a folder that is reached a second time.

    Args:
        root: The folder.
    """
    return sorted(_Walk(os.fspath(root)).all_files())


def _chosen(root: str, folders: dict[str, str], wanted: Sequence[str] | None) -> list[str]:
    if not folders:
        raise ValueError(
            f"from_folder: '{root}' must hold one folder a class, with the class's "
            "images in it. It holds no folder, but for hidden ones and those of systems."
        )
    if wanted is None:
        return sorted(folders)
    names = [unicodedata.normalize("NFC", str(name)) for name in wanted]
    if len(set(names)) != len(names) or not set(names) & set(folders):
        raise ValueError(
            f"from_folder: class_names must be a list of classes, each once, at least one of them "
            f"a folder of '{root}': {', '.join(sorted(folders))}. "
            f"Received {', '.join(names) or 'none'}."
        )
    return names


def text(name: str) -> str:
    """Return a file's name as text that can be printed and stored, in Unicode's composed form.

    Some systems give it decomposed, and some have names that are no text.

    Args:
        name: The name, as the system gives it.
    """
    readable = os.fsencode(name).decode("utf-8", "backslashreplace")
    return unicodedata.normalize("NFC", readable)


class _Walk:
    """A walk through the folders of one root, each of them entered once."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.skipped: list[LeftOut] = []
        self.ignored: list[LeftOut] = []
        self._entered: dict[tuple[int, int], str] = {}
        self._enter("")

    def class_folders(self) -> dict[str, str]:
        """The folders in the root: name as text -> name as it is."""
        folders: dict[str, str] = {}
        for entry in self._entries(""):
            if is_hidden(entry.name):
                self._ignore(entry.name, "it is hidden or a system's own")
            elif not _told(entry.is_dir):
                self._ignore(entry.name, "it is in no class's folder")
            elif text(entry.name) in folders:
                raise ValueError(
                    f"from_folder: '{self.root}' has two folders whose name reads "
                    f"'{text(entry.name)}'; rename one."
                )
            else:
                folders[text(entry.name)] = entry.name
        # Before any is walked through: a link into another class must not take its files away.
        self._classes = {name for name in folders.values() if self._enter(name)}
        return folders

    def is_empty(self, name: str) -> bool:
        """Whether a class's folder without a file could be looked into, all of it."""
        within = f"{text(name)}/"
        return not any(left.path.startswith(within) for left in self.skipped)

    def all_files(self) -> Iterator[str]:
        """The paths of all files, in no particular order."""
        yield from self._files_under("")

    def files(self, name: str) -> Iterator[str]:
        """The paths of all files under a class's folder, in no particular order."""
        if name in self._classes:
            yield from self._files_under(name)

    def _files_under(self, folder: str) -> Iterator[str]:
        for entry in self._entries(folder):
            # Made by hand: os.path.join takes as long as all the rest.
            path = f"{folder}/{entry.name}" if folder else entry.name
            if is_hidden(entry.name):
                self._ignore(path, "it is hidden or a system's own")
            elif _told(entry.is_file):
                yield path
            elif _told(entry.is_dir):
                if self._enter(path):
                    yield from self._files_under(path)
            elif not os.path.exists(entry.path):
                yield path  # a link to nothing or itself: a file that cannot be read
            else:
                self._ignore(path, "it is no regular file")

    def _entries(self, folder: str) -> list[os.DirEntry[str]]:
        """What a folder holds, sorted by name."""
        try:
            with os.scandir(os.path.join(self.root, folder)) as entries:
                return sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            if not folder:
                raise
            self._skip_folder(folder, error)
            return []

    def _enter(self, folder: str) -> bool:
        """Whether the folder was not entered before."""
        try:
            status = os.stat(os.path.join(self.root, folder))
        except OSError as error:
            self._skip_folder(folder, error)
            return False
        identity = status.st_dev, status.st_ino
        if identity in self._entered:
            before = text(self._entered[identity])
            words = f"'{before}'" if before else "the whole set's"
            self._ignore(folder, f"it leads to a folder that is read already, {words}")
            return False
        self._entered[identity] = folder
        return True

    def _skip_folder(self, folder: str, error: OSError) -> None:
        if is_shortage(error):
            raise error
        reason = f"the folder cannot be opened ({error.strerror})"
        self.skipped.append(LeftOut(f"{text(folder)}/", reason))

    def _ignore(self, path: str, reason: str) -> None:
        self.ignored.append(LeftOut(text(path), reason))


def _told(ask: Callable[[], bool]) -> bool:
    """What the system answers about an entry; of a link that leads in a circle, nothing is true."""
    try:
        return ask()
    except OSError as error:
        if is_shortage(error):
            raise
        return False

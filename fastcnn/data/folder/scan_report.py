"""What was found in a folder of images: counts, and every file left out with the reason."""

from __future__ import annotations

import json
from bisect import insort
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from fastcnn.utils import columns, markup
from fastcnn.utils.naming import shown

SHOWN = 20
"""Files that a printed list names; the JSON has them all."""


@dataclass(frozen=True)
class LeftOut:
    """A file that is no image of the set.

    Args:
        path: Its path within the folder.
        reason: Why.
    """

    path: str
    reason: str


@dataclass
class Report:
    """The outcome of reading a set of images.

    counts: usable images by label. skipped: files that should be images and cannot be used.
    ignored: what does not count as an image to begin with, such as hidden files. remarked: files
    that are used though something is wrong about them. All three are sorted by path. about_split:
    sentences about what was held out; about_layout: about where the classes are. empty: folders
    that hold no file, and so are no classes; unusable: those none of whose files can be used, which
    are none either. copies: the paths of files with the same bytes, a list for each picture; None
    where nobody has looked.
    """

    source: str
    class_names: Sequence[str]
    counts: list[int] = field(default_factory=list)
    skipped: list[LeftOut] = field(default_factory=list)
    ignored: list[LeftOut] = field(default_factory=list)
    remarked: list[LeftOut] = field(default_factory=list)
    about_split: list[str] = field(default_factory=list)
    about_layout: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    unusable: list[str] = field(default_factory=list)
    copies: list[list[str]] | None = None

    @property
    def images(self) -> int:
        """The number of images that can be used."""
        return sum(self.counts)

    @property
    def notes(self) -> list[str]:
        """Sentences on what looks wrong with the set as a whole."""
        empty = [
            name for name, count in zip(self.class_names, self.counts, strict=True) if not count
        ]
        notes = []
        if self.empty:
            notes.append(f"No file in the folder {_listed(self.empty)}: it is no class.")
        if self.unusable:
            notes.append(
                f"No file that can be used in the folder {_listed(self.unusable)}: it is no class."
            )
        if empty:
            notes.append(f"No image in {_listed(empty)}: the class can be neither learned nor met.")
        if len(self.class_names) == 1:
            notes.append(
                f"Only one class, '{self.class_names[0]}': there is nothing to tell it from."
            )
        return [*self.about_layout, *notes, *self._contradictions(), *self.about_split]

    def _contradictions(self) -> list[str]:
        """How many pictures have several labels, as no sentence or one."""
        groups = [
            group for group in self.copies or [] if len({path.split("/")[0] for path in group}) > 1
        ]
        if not groups:
            return []
        several = "1 picture is" if len(groups) == 1 else f"{len(groups):,} pictures are"
        first = groups[0][0]
        other = next(path for path in groups[0] if path.split("/")[0] != first.split("/")[0])
        return [
            f"{several} in more than one class, such as '{shown(first)}', which is "
            f"'{shown(other)}' too: one of the labels is wrong."
        ]

    @property
    def complaint(self) -> str:
        """The text that a user should hear unasked; empty where all is well."""
        lost = [loss(self.skipped, self.images + len(self.skipped))] if self.skipped else []
        return " ".join([*lost, *self.notes])

    @property
    def advice(self) -> str:
        """What who calls `from_folder` can do about the complaint; empty where that is nothing."""
        return " ".join(
            sentence
            for sentence, applies in (
                (".report lists what was skipped.", self.skipped),
                ("layout='classes' takes that one for a class.", self.about_layout),
                ("class_names=[...] keeps a class without images.", self.empty or self.unusable),
                ("Leave a class without images out of class_names.", not all(self.counts)),
            )
            if applies
        )

    def skip(self, left: LeftOut, label: int) -> None:
        """Leave out a file that was counted.

        Args:
            left: The file, and why.
            label: Its class.
        """
        self.counts[label] -= 1
        insort(self.skipped, left, key=_by_path)

    def leave_out_classes(self) -> list[int]:
        """Make those that are left without an image no classes; return the labels of the others."""
        kept = [label for label, count in enumerate(self.counts) if count]
        self.unusable = [
            name for name, count in zip(self.class_names, self.counts, strict=True) if not count
        ]
        self.class_names = [self.class_names[label] for label in kept]
        self.counts = [self.counts[label] for label in kept]
        return kept

    def remark(self, left: LeftOut | None, before: LeftOut | None) -> None:
        """Put one remark in the place of another one, or of none.

        Args:
            left: The remark, or None.
            before: The other one, or None.
        """
        if before is not None:
            self.remarked.remove(before)
        if left is not None:
            insort(self.remarked, left, key=_by_path)

    def described(self) -> dict[str, Any]:
        """Return all of it as a dict that JSON can hold."""
        return {
            "source": self.source,
            "images": self.images,
            "classes": [
                {"name": name, "images": count}
                for name, count in zip(self.class_names, self.counts, strict=True)
            ],
            "skipped": [vars(left) for left in self.skipped],
            "ignored": [vars(left) for left in self.ignored],
            "remarked": [vars(left) for left in self.remarked],
            "copies": self.copies,
            "notes": self.notes,
        }

    @classmethod
    def restored(
        cls, source: str, class_names: Sequence[str], counts: list[int], described: object
    ) -> Report:
        """Return a report with the lists of a description, as far as they are there and whole.

        Args:
            source: What was read.
            class_names: By label.
            counts: Usable images by label.
            described: What `described` returned, or anything.
        """
        fields = described if isinstance(described, dict) else {}
        skipped, ignored, remarked = (
            _left_out(fields.get(name)) for name in ("skipped", "ignored", "remarked")
        )
        report = cls(source, class_names, counts, skipped, ignored, remarked)
        report.copies = _paths(fields.get("copies"))
        return report

    def json(self) -> str:
        """Return the same as JSON text."""
        return json.dumps(self.described(), ensure_ascii=False)

    def _repr_html_(self) -> str:
        return markup.printed(self)

    def __str__(self) -> str:
        classes = f"{len(self.class_names)} class{'' if len(self.class_names) == 1 else 'es'}"
        lines = [f"{shown(self.source)}: {self.images:,} images in {classes}."]
        counts = zip(self.class_names, self.counts, strict=True)
        lines += columns.table([[f"  {name}", f"{count:,}"] for name, count in counts])
        for title, files in (
            ("skipped", self.skipped),
            ("ignored", self.ignored),
            ("used, with remarks", self.remarked),
        ):
            lines += _section(title, files)
        lines += _copies_section(self.copies or [])
        return "\n".join([*lines, *self.notes])


def loss(skipped: Sequence[LeftOut], total: int) -> str:
    """Return a sentence on files that were skipped.

    Args:
        skipped: Them, at least one.
        total: Of how many.
    """
    first, path = skipped[0], shown(skipped[0].path)
    if len(skipped) == 1:
        return f"1 of {total:,} files was skipped, '{path}', because {first.reason}."
    reasons = Counter(left.reason for left in skipped).most_common(3)
    words = "; ".join(f"{count} because {reason}" for reason, count in reasons)
    return f"{len(skipped):,} of {total:,} files were skipped, among them '{path}' ({words})."


def _by_path(left: LeftOut) -> str:
    return left.path


def _left_out(described: object) -> list[LeftOut]:
    entries = described if isinstance(described, list) else []
    return [
        LeftOut(str(entry["path"]), str(entry["reason"]))
        for entry in entries
        if isinstance(entry, dict) and {"path", "reason"} <= set(entry)
    ]


def _paths(described: object) -> list[list[str]]:
    groups = described if isinstance(described, list) else []
    return [
        group
        for group in groups
        if isinstance(group, list) and all(isinstance(path, str) for path in group)
    ]


def _copies_section(copies: list[list[str]]) -> list[str]:
    if not copies:
        return []
    times = "once" if len(copies) == 1 else f"once, {len(copies):,} in all"
    lines = [f"Pictures that are there more than {times}:"]
    lines += [shown(f"  {' = '.join(group[:SHOWN])}") for group in copies[:SHOWN]]
    if len(copies) > SHOWN:
        lines.append(f"  and {len(copies) - SHOWN:,} more (the JSON report names them all)")
    return lines


def _section(title: str, files: list[LeftOut]) -> list[str]:
    if not files:
        return []
    lines = [f"{len(files):,} file{'' if len(files) == 1 else 's'} {title}:"]
    lines += [shown(f"  {left.path}: {left.reason}") for left in files[:SHOWN]]
    if len(files) > SHOWN:
        lines.append(f"  and {len(files) - SHOWN:,} more (the JSON report names them all)")
    return lines


def _listed(names: list[str]) -> str:
    listed = ", ".join(f"'{shown(name)}'" for name in names[:5])
    return listed if len(names) <= 5 else f"{listed} and {len(names) - 5} more"

"""The code in a Markdown page, and how a test has to take it.

A block of Python is run. Above every other block stands a mark that a reader doesn't see:

    <!-- test: run -->      commands, which are run
    <!-- test: parse -->    commands that take long, ask for a network or make an environment: every
                            option and every file, target and extra in them must be there
    <!-- test: compile -->  Python for another framework, for a GPU, or that fetches files
    <!-- test: output -->   what the block before has printed, line by line; "..." for others

What a page needs that it does not show, such as a folder of pictures, is made by Python in such a
comment:

    <!-- test: setup
    ...
    -->
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
        ROOT / "examples" / "README.md",
    ]
)
"""ARCHITECTURE.md quotes the package, to which tests/package/test_architecture.py holds it."""
WAYS = {
    ("python", ""),
    ("python", "compile"),
    ("python", "setup"),
    ("sh", "run"),
    ("sh", "parse"),
    ("text", "output"),
}
FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)(?: title=\"(?P<title>.*?)\")?$")
MARK = re.compile(r"^ *<!-- test: (\w+)( -->)?$")


@dataclass(frozen=True)
class Block:
    """A block of code: the line that it begins in, its language, title and mark."""

    line: int
    language: str
    title: str
    mark: str
    text: str

    @property
    def way(self) -> tuple[str, str]:
        """How it is tested."""
        return self.language, self.mark


def blocks(page: str) -> Iterator[Block]:
    """All blocks of a page's text, in their order, with the hidden ones."""
    lines = enumerate(page.splitlines(), 1)
    mark = ""
    for number, line in lines:
        if (marked := MARK.match(line)) is not None:
            mark = marked[1]
            if marked[2] is None:
                yield Block(number, "python", "", mark, _until("-->", lines))
                mark = ""
        elif (fence := FENCE.match(line)) is not None:
            text = _until("```", lines, len(fence["indent"]))
            yield Block(number, fence["language"], fence["title"] or "", mark, text)
            mark = ""
        elif line.strip():
            mark = ""


def _until(end: str, lines: Iterator[tuple[int, str]], indent: int = 0) -> str:
    """The lines up to the one that ends a block, without what they are indented by."""
    text = []
    for _, line in lines:
        if line.strip() == end:
            break
        text.append(line[indent:])
    return "\n".join(text) + "\n"

"""What the documents quote stands in the files that they name."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = ("ARCHITECTURE.md", "CONTRIBUTING.md", "README.md")
LEFT_OUT = "..."


def code(text: str) -> list[str]:
    """The lines of code, without comments, empty lines and what all are indented by."""
    lines = (re.sub(r"(^|\s)\s*# .*", "", line).rstrip() for line in text.splitlines())
    return textwrap.dedent("\n".join(line for line in lines if line)).splitlines()


def pieces(lines: list[str]) -> list[list[str]]:
    """What stands between the marks of lines left out."""
    groups: list[list[str]] = [[]]
    for line in lines:
        if line.strip() == LEFT_OUT:
            groups.append([])
        else:
            groups[-1].append(line)
    return groups


def end_of(piece: list[str], lines: list[str], start: int) -> int | None:
    """Where the first place ends, from `start` on, at which the piece stands in the lines."""
    wanted = code("\n".join(piece))
    for at in range(start, len(lines) - len(piece) + 1):
        if textwrap.dedent("\n".join(lines[at : at + len(piece)])).splitlines() == wanted:
            return at + len(piece)
    return None


def not_found(quoted: str, source: str) -> list[str]:
    """The first piece of a quotation that does not follow the ones before it in the source."""
    lines, at = code(source), 0
    for piece in pieces(code(quoted)):
        end = end_of(piece, lines, at)
        if end is None:
            return piece
        at = end
    return []


def quotations() -> list[tuple[str, str]]:
    """Each quotation of ARCHITECTURE.md: its file and its lines."""
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    return re.findall(r"^```python\n# (fastcnn/\S+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(("name", "quoted"), quotations(), ids=[name for name, _ in quotations()])
def test_quoted_lines_stand_in_the_file(name, quoted):
    assert not not_found(quoted, (ROOT / name).read_text(encoding="utf-8"))


def test_every_block_of_code_in_the_architecture_is_a_quotation():
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    assert text.count("```python\n") == len(quotations()) > 0


def test_a_changed_line_and_a_changed_order_are_noticed():
    source = "def f():\n    a = 1  # why\n\n    for i in a:\n        b = 2\n    c = 3\n"
    assert not not_found("a = 1  # one\n...\n    c = 3", source)
    assert not not_found("for i in a:\n    b = 2", source)
    assert not_found("a = 2", source) == ["a = 2"]
    assert not_found("a = 1\nc = 3", source)
    assert not_found("c = 3\n...\na = 1", source) == ["a = 1"]
    assert not_found("for i in a:\nb = 2", source)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_named_files_stand(document):
    """Paths are relative to the repository or to the package."""
    text = (ROOT / document).read_text(encoding="utf-8")
    named = re.findall(r"`((?:[\w.]+/)+[\w.]+\.\w+)`", text)
    assert named
    assert not [
        name for name in named if not any((ROOT / d / name).is_file() for d in ("", "fastcnn"))
    ]


FILES = [
    path
    for folder in ("fastcnn", "bench", "tests", "examples", "tools")
    for path in (ROOT / folder).rglob("*")
]
SOURCES = [
    path
    for path in FILES
    if path.is_relative_to(ROOT / "fastcnn") and path.suffix in (".py", ".pyx", ".pxi")
]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_files_named_without_their_folder_stand(document):
    text = (ROOT / document).read_text(encoding="utf-8")
    named = set(re.findall(r"`(\w+\.(?:py|pyx|sh))`", text))
    assert not named - {path.name for path in FILES}


def test_each_folder_of_the_package_is_named():
    """A stranger looks up there what a room holds."""
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    folders = {path.parent.relative_to(ROOT / "fastcnn") for path in SOURCES}
    named = set(re.findall(r"\b(\w+)/", text))
    assert not {folder.as_posix() for folder in folders if folder.name and folder.name not in named}


def test_files_named_in_the_package_stand():
    ends = "\n".join(f"/{path.relative_to(ROOT).as_posix()}\n" for path in FILES)
    missing = [
        f"{path}: {name}"
        for path in SOURCES
        for name in re.findall(r"\b((?:\w+/)*\w+\.(?:pyx|pxi|py))\b", path.read_text("utf-8"))
        if f"/{name}\n" not in ends
    ]
    assert not missing

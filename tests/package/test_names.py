"""Names say what a value is, not that it was found or given; docstrings name what is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import fastcnn

PACKAGE = Path(fastcnn.__file__).parent
ROOT = Path(__file__).parents[2]
# The rooms of the tests where names say that something was found or given: to become fewer.
UNNAMED = {"autotune", "backends", "cli", "cuda", "data", "kernels", "lab", "training"}
FILES = {path.relative_to(PACKAGE).as_posix(): path for path in PACKAGE.rglob("*.py")} | {
    path.relative_to(ROOT).as_posix(): path
    for folder in ("tests", "bench", "tools", "examples")
    for path in (ROOT / folder).rglob("*.py")
    if folder != "tests" or path.relative_to(ROOT).parts[1] not in UNNAMED
}
GENERIC = {"found", "given", "made", "one", "known", "here"}
# There the name is the number: of vectors of 0, 1, 2 and 3, or of these constants.
NUMBERS = {"kernels/cpu/nn/pooling.py", "kernels/shared/activations.py"}


def generic_names(source: str) -> list[str]:
    """The variables, parameters, attributes and functions with such names, and mentions of them."""
    names = []
    for node in ast.walk(ast.parse(source)):
        for field in ("id", "arg", "attr", "name"):
            name = getattr(node, field, None)
            if isinstance(name, str) and name.strip("_") in GENERIC:
                names.append(f"{name}, line {getattr(node, 'lineno', '?')}")
    return names + [name for name in re.findall(r"`(\w+)`", source) if name in GENERIC]


@pytest.mark.parametrize("name", sorted(FILES.keys() - NUMBERS))
def test_names_are_nouns(name):
    assert not generic_names(FILES[name].read_text(encoding="utf-8"))
    assert FILES.keys() >= NUMBERS


def test_a_generic_name_is_noticed():
    mention = "As `{}`.".format("known")
    source = (
        f'def f(given):\n    "{mention}"\n    found = {{one for one in given}}\n    self._made = 1'
    )
    names = {name.split(",")[0] for name in generic_names(source)}
    assert names == {"given", "known", "found", "one", "_made"}

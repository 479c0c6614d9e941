"""Tables of the pages have all that the sources have, and nothing else."""

from __future__ import annotations

import re
import tomllib

from code_blocks import ROOT

from fastcnn.kernels.cpu.conv import STRATEGIES

SOURCES = [
    ROOT / "setup.py",
    ROOT / "Makefile",
    *(
        path
        for folder in ("fastcnn", "bench", "tests", "tools")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".py", ".pyx", ".pxi", ".sh") and path.parts[-2] != "docs"
    ),
]
OTHERS = ["NUMBA_NUM_THREADS", "NUMBA_DISABLE_JIT", "NUMBA_CUDA_DRIVER", "NUMBA_ENABLE_CUDASIM"]


def first_cells(page):
    """The names in the first cells of all tables of a page."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return [
        name
        for cell in re.findall(r"^\| (.*?) \|", text, re.MULTILINE)
        for name in re.findall(r"`([^`]+)`", cell)
    ]


def test_every_environment_variable_is_listed_and_none_else():
    texts = "\n".join(path.read_text(encoding="utf-8") for path in SOURCES)
    read = set(re.findall(r"\bFASTCNN_[A-Z_]+\b", texts))
    assert sorted(first_cells("environment.md")) == sorted([*read, *OTHERS])
    assert all(name in texts for name in OTHERS)


def test_every_strategy_is_listed_with_its_error():
    text = (ROOT / "docs" / "strategies.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.*`) \| .* \| (\S+) \|$", text, re.MULTILINE)
    listed = {name: float(error) for cell, error in rows for name in re.findall("`(.+?)`", cell)}
    assert listed == {name: strategy.error for name, strategy in STRATEGIES.items()}


def test_every_extra_is_listed_and_none_else():
    text = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"\.\[([\w,]+)\]", text))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = {name for group in listed for name in group.split(",")}
    assert names == set(project["optional-dependencies"])

"""What is shipped and how it is built: the sdist's list, the make targets' helpers."""

from __future__ import annotations

import importlib
import os
import runpy
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from extensions import ROOT, python

import fastcnn

posix = pytest.mark.skipif(os.name != "posix", reason="make and sh are POSIX's")


def executable(path, text):
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
    return path


def test_the_sdist_holds_the_sources_of_the_extension_and_the_sample(checked_build):
    (listing,) = checked_build.parents[1].glob("*.egg-info/SOURCES.txt")
    names = set(listing.read_text(encoding="utf-8").replace("\\", "/").splitlines())
    assert names >= {
        "CITATION.cff",
        "LICENSE",
        "Makefile",
        "SECURITY.md",
        "pyproject.toml",
        "setup.py",
        "fastcnn/py.typed",
        "fastcnn/_ext/batch.pyx",
        "fastcnn/_ext/batch.pyi",
        "fastcnn/_ext/augment.pyx",
        "fastcnn/_ext/arguments.pxi",
        "fastcnn/_ext/moves.pxi",
        "fastcnn/_ext/rows.pxd",
        "fastcnn/_ext/effects.pyx",
        "fastcnn/_ext/mixing.pyx",
        "fastcnn/_ext/random.pxd",
        "fastcnn/_ext/random.pyx",
        "fastcnn/data/samples/fashion-mnist-sample.npz",
        "fastcnn/data/samples/LICENSE-fashion-mnist.txt",
        "fastcnn/serving/page.html",
        "tests/package/test_build.py",
        "tools/make_sample.py",
        "tools/make_venv.sh",
        "tools/oldest_versions.sh",
    }
    assert not [name for name in names if name.endswith((".c", ".so"))]


def test_the_sdist_builds_with_a_c_compiler_alone(checked_build):
    """And what it builds works; Cython, which pip installs for it, is the only other thing."""
    program = "import numpy as np, fastcnn; from fastcnn._ext import augment, batch, effects; "
    program += "x = np.ones((2, 3, 3, 1), np.uint8); "
    program += "print(batch.gather(x, np.arange(2), np.zeros((2, 3, 3, 1), np.float32)).sum(), "
    program += "fastcnn.data.sample()[0][0].shape, fastcnn.__file__)"
    said = python("-c", program, cwd=checked_build).split(maxsplit=5)
    assert said[:5] == ["18.0", "(6000,", "28,", "28,", "1)"]
    assert said[5].strip() == str(checked_build / "fastcnn" / "__init__.py")


def sections(path):
    """The names of an ELF file's sections (64 bits, little-endian)."""
    content = path.read_bytes()
    (table,) = struct.unpack_from("<Q", content, 40)
    entry_size, count, names_index = struct.unpack_from("<HHH", content, 58)
    entries = [struct.unpack_from("<I20xQQ", content, table + i * entry_size) for i in range(count)]
    _, start, size = entries[names_index]
    names = content[start : start + size]
    return {names[at : names.index(b"\0", at)].decode() for at, _, _ in entries}


@pytest.mark.skipif(sys.platform != "linux", reason="extensions are ELF files on Linux")
@pytest.mark.parametrize("name", ["augment", "batch", "effects", "mixing", "product", "random"])
def test_extensions_hold_no_debug_information(name):
    """It would be four fifths of what is installed."""
    path = Path(importlib.import_module(f"fastcnn._ext.{name}").__file__)
    names = sections(path)
    assert ".text" in names
    extra = {section for section in names if section.startswith(".debug") or section == ".symtab"}
    assert not extra, f"{path} was built without setup.py's flags: setup.py build_ext --inplace"


@pytest.mark.parametrize(
    ("system", "platform", "debug", "compiling", "linking"),
    [
        ("posix", "linux", "0", ["-O3", "-ffp-contract=off", "-g0"], ["-Wl,-s"]),
        ("posix", "darwin", "0", ["-O3", "-ffp-contract=off", "-g0"], []),
        ("nt", "win32", "0", [], []),
        ("posix", "linux", "1", ["-O0", "-ffp-contract=off"], []),
    ],
)
def test_each_platforms_compiler_gets_flags_that_it_knows(
    system, platform, debug, compiling, linking, monkeypatch
):
    monkeypatch.setenv("FASTCNN_EXT_DEBUG", debug)
    monkeypatch.setattr("setuptools.setup", lambda **_: None)
    with monkeypatch.context() as patch:
        patch.setattr(os, "name", system)
        patch.setattr(sys, "platform", platform)
        values = runpy.run_path(str(ROOT / "setup.py"))
    assert (values["FLAGS"], values["LINK_FLAGS"]) == (compiling, linking)


@posix
@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("echo 'is version 3.9, older than 3.11'", "old-python is version 3.9, older than 3.11"),
        ("exit 1", "old-python does not run"),
        (None, "old-python was not found"),
    ],
)
def test_make_venv_says_what_each_python_lacks(tmp_path, answer, words):
    if answer is not None:
        executable(tmp_path / "old-python", f"#!/bin/sh\n{answer}\n")
    result = subprocess.run(
        ["sh", ROOT / "tools" / "make_venv.sh", tmp_path / "venv"],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHON": "old-python"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 1
    assert words in result.stderr
    assert "PYTHON=/path/to/python3" in result.stderr
    assert not (tmp_path / "venv").exists()


CLOSING = "================= 1 failed, 2 passed, 3 errors in 65.20s (0:01:05) ================="


@posix
@pytest.mark.parametrize(
    ("status", "said", "last"),
    [
        (0, f"ruff\n{CLOSING}", CLOSING),
        (2, f"{CLOSING}\nmake: *** [Makefile:22: test] Error 1", CLOSING),
        (2, "make: *** [Makefile:25: lint] Error 1", "make: *** [Makefile:25: lint] Error 1"),
    ],
)
def test_ci_ends_with_pytests_closing_line_and_its_status(tmp_path, status, said, last):
    executable(tmp_path / "make", f"#!/bin/sh\ncat <<'E'\n{said}\nE\nexit {status}\n")
    result = subprocess.run(
        [ROOT / ".ci" / "run"],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == status
    assert result.stdout.splitlines()[-1] == last


def test_the_citation_has_the_version():
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {fastcnn.__version__}\n" in text

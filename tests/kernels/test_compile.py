"""Missing machine code is compiled by several processes, and by this one where they fail."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numba
import numpy as np
import pytest

from fastcnn.kernels.cpu import layout
from fastcnn.kernels.cpu.gemm import tile_code
from fastcnn.kernels.cpu.gemm.tiled import GRID
from fastcnn.kernels.cpu.nn import activation
from fastcnn.kernels.cpu.runtime import code, compile, compile_cache
from fastcnn.kernels.cpu.runtime.kernel import Kernel
from fastcnn.utils import messages

NAMED = (layout.copy_rows, layout.fill_zero, activation.add, layout.crop_image)


@pytest.fixture(autouse=True)
def place(monkeypatch, tmp_path) -> Path:
    """An empty cache."""
    monkeypatch.setenv("FASTCNN_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("FASTCNN_CACHE", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def kernels() -> list[Kernel]:
    """The kernels as a process has them in which they were never loaded."""
    return [Kernel(kernel._body, kernel.dtype, False) for kernel in NAMED]


@pytest.fixture
def two_processes(monkeypatch):
    monkeypatch.setattr(compile, "WORTH", 1)
    monkeypatch.setattr(compile, "num_threads", lambda: 2)


@pytest.fixture
def compiled_here(monkeypatch) -> list[str]:
    """The names of what this process compiled itself."""
    names: list[str] = []
    compiled = Kernel._compiled

    def noted(self):
        names.append(self.name)
        return compiled(self)

    monkeypatch.setattr(Kernel, "_compiled", noted)
    return names


def test_another_process_compiles_its_part(kernels, two_processes, compiled_here, monkeypatch):
    """And goes towards this one then. It is waited for here, so that nothing is left."""
    beside = compile.compile_processes.beside

    def waiting(module, rows):
        modules = ["fastcnn.kernels.cpu.nn.activation", "fastcnn.kernels.cpu.layout"]
        rows = list(rows)
        assert [row[-4:] for row in rows] == [["add", "crop_image", "fill_zero", "copy_rows"]]
        assert set(rows[0][:-4]) == set(modules)
        with beside(module, rows) as running:
            assert [process.wait(120) for process in running] == [0]
        return beside(module, [])

    monkeypatch.setattr(compile.compile_processes, "beside", waiting)
    compile.load(kernels)
    assert all(kernel.loaded and kernel.address for kernel in kernels)
    assert not compiled_here


def test_another_process_imports_what_this_one_does(place, monkeypatch, tmp_path):
    """Not what lies in the working directory, which nobody asked to be run."""
    here, known = tmp_path / "here", tmp_path / "known"
    for folder in (here, known):
        folder.mkdir()
        (folder / "shadowed.py").write_text(f"print({folder.name!r}, file=open('ran', 'a'))")
    monkeypatch.chdir(here)
    monkeypatch.setattr(sys, "path", [*sys.path, "", tmp_path, str(known)])
    with compile.compile_processes.beside("shadowed", [[]]) as running:
        assert running[0].wait(60) == 0
    assert Path("ran").read_text() == "known\n"


def test_numba_that_must_not_compile_is_named(kernels, monkeypatch):
    monkeypatch.setattr(numba.config, "DISABLE_JIT", 1)
    with pytest.raises(RuntimeError, match="NUMBA_DISABLE_JIT is set"):
        compile.load(kernels)


@pytest.mark.parametrize("option", ["OPT", "BOUNDSCHECK", "DEBUGINFO_DEFAULT"])
def test_code_made_by_other_options_of_numbas_is_other_code(option, monkeypatch):
    usual = compile_cache.source_stamp.__wrapped__("cpu")
    monkeypatch.setattr(numba.config, option, 1)
    assert compile_cache.source_stamp.__wrapped__("cpu") != usual


@pytest.mark.parametrize("fault", ["no such module", "no such Python", "frozen"])
def test_this_process_compiles_what_others_cannot(kernels, two_processes, fault, monkeypatch):
    if fault == "no such module":
        monkeypatch.setattr(compile, "MODULE", "fastcnn.no_such_module")
    elif fault == "no such Python":
        monkeypatch.setattr(sys, "executable", "/no/such/python")
    else:
        monkeypatch.setattr(sys, "frozen", True, raising=False)
    compile.load(kernels)
    assert all(kernel.loaded for kernel in kernels)


def test_one_thread_or_no_cache_means_one_process(kernels, two_processes, monkeypatch):
    monkeypatch.setattr(compile.compile_processes, "beside", None)
    monkeypatch.setattr(compile, "num_threads", lambda: 1)
    compile.load(kernels[:2])
    monkeypatch.setattr(compile, "num_threads", lambda: 2)
    monkeypatch.setenv("FASTCNN_CACHE", "0")
    compile.load(kernels[2:])
    assert all(kernel.loaded for kernel in kernels)


def test_what_is_missing_is_said_and_counted(kernels, capsys):
    shown: list[str] = []
    with messages.status_shown_by(shown.append):
        compile.load(kernels[:2])
        compile.load(kernels[:2])
    assert capsys.readouterr().err == (
        "fastcnn: compiling for this CPU, first run only: copy_rows, fill_zero\n"
    )
    assert shown == ["compiling 1 of 2", "compiling 2 of 2", ""]


def test_a_status_takes_the_place_of_the_last_one(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    messages.status("compiling 1 of 2")
    messages.status("")
    assert terminal.getvalue() == "\r\x1b[Kcompiling 1 of 2\r\x1b[K"
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    messages.status("compiling 1 of 2")
    assert sys.stderr.getvalue() == ""


def test_an_interrupted_compilation_leaves_no_status_behind():
    class Interrupted(code.Code):
        name, module, requires, loaded = "interrupted", __name__, (), False

        def load(self):
            return False

        def compile(self):
            raise KeyboardInterrupt

    shown: list[str] = []
    with messages.status_shown_by(shown.append), pytest.raises(KeyboardInterrupt):
        compile.load([Interrupted()])
    assert shown == ["compiling 1 of 1", ""]


def test_required_code_comes_first():
    class Piece(code.Code):
        loaded = False

        def __init__(self, name, *requires):
            self.name, self.module, self.requires = name, __name__, requires

        def load(self):
            return False

        def compile(self):
            order.append(self.name)

    order: list[str] = []
    tile = Piece("tile")
    grid = Piece("grid", tile)
    compile.load([Piece("pad"), grid, tile, Piece("panels", grid)])
    assert order == ["pad", "tile", "grid", "panels"]


def test_python_cannot_call_a_part_of_kernels():
    """Also once machine code calls it: there is no wrapper that would take Python's objects."""
    caller = numba.njit(lambda counter, key: activation.random_bits(counter, key))
    for _ in range(2):
        with pytest.raises(TypeError, match="random_bits is a part of kernels"):
            activation.random_bits(3, 4)
        assert 0 <= caller(3, 4) < 2**32


def test_tiles_count_as_loaded_once_their_table_is_whole(monkeypatch):
    """Not before: a kernel would call through an address that is still 0."""
    tiles = tile_code.TileCode("register_tiles", tile_code.REGISTER_TILE, GRID)
    name, asked = tiles._name, []

    def interrupted(size):
        asked.append(tiles.loaded)
        if len(asked) == sizes + 7:  # the code has each name first
            raise KeyboardInterrupt
        return name(size)

    sizes = len(tile_code.REGISTER_TILE.indices)
    monkeypatch.setattr(tiles, "_name", interrupted)
    monkeypatch.setattr(tiles, "_read", lambda: None)
    with pytest.raises(KeyboardInterrupt):
        tiles.compile()
    assert not tiles.loaded
    tiles.compile()
    assert tiles.loaded
    assert not any(asked)
    assert np.count_nonzero(tiles.table) == sizes

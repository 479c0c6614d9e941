"""Compiled kernels kept on disk: found again, and not where anything differs. Without a GPU."""

from __future__ import annotations

import ctypes
import inspect
import json
import shutil
from pathlib import Path
from types import FunctionType, SimpleNamespace

import numpy as np
import pytest
from numba.cuda import dispatcher
from numba.cuda.cudadrv import devicearray, devices
from numba.cuda.dispatcher import CUDADispatcher, _Kernel

from fastcnn.kernels import code_cache, code_file, compile_processes
from fastcnn.kernels.cuda import layout
from fastcnn.kernels.cuda.nn import activation
from fastcnn.kernels.cuda.runtime import compile, cubin_cache
from fastcnn.kernels.cuda.runtime.device import pretend
from fastcnn.kernels.cuda.runtime.kernel import Kernel, all_kernels, elements, register

PACKAGE = Path(code_cache.PACKAGE)


@pytest.fixture(autouse=True)
def pretended(monkeypatch, tmp_path):
    """A GPU of compute capability 9.0 that loads and launches nothing, and an empty cache."""
    monkeypatch.setattr(devices, "get_context", devices.get_context)
    monkeypatch.setattr(dispatcher, "get_current_device", dispatcher.get_current_device)
    monkeypatch.setattr(cubin_cache, "_given_up", [])
    monkeypatch.setenv("FASTCNN_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("FASTCNN_CACHE", raising=False)
    pretend((9, 0))


def anew(kernel: Kernel = activation.add, **settings) -> Kernel:
    """The same kernel as another process has it: not compiled yet."""
    return Kernel(kernel.body, kernel.launch, **settings)


def path_of(kernel: Kernel) -> Path:
    return kernel.compiled._cache._path(kernel.signature)


@pytest.fixture
def kept() -> Path:
    """The file of the addition's kernel."""
    anew().keep()
    return path_of(anew())


class Compilations:
    """Counts what is compiled; a context that loads modules says what they are made of."""

    def __init__(self, monkeypatch):
        self.count = 0
        self.loaded: list[bytes] = []
        compile_one = _Kernel.__init__

        def counted(*arguments, **settings):
            self.count += 1
            compile_one(*arguments, **settings)

        monkeypatch.setattr(_Kernel, "__init__", counted)
        devices.get_context().create_module_image = self._load

    def _load(self, image, setup, teardown):
        self.loaded.append(bytes(image.code))
        function = SimpleNamespace(module=SimpleNamespace(initialized=True), kernel="loaded")
        return SimpleNamespace(get_function=lambda name: function)


@pytest.fixture
def compilations(monkeypatch) -> Compilations:
    return Compilations(monkeypatch)


def test_another_process_finds_the_code(compilations):
    first, second = anew(), anew()
    assert not first.in_cache()
    first.load()
    assert (compilations.count, first.loaded, second.loaded) == (1, True, False)
    assert second.in_cache()
    second.load()
    assert compilations.count == 1
    made, found = (next(iter(one.compiled.overloads.values())) for one in (first, second))
    assert found.entry_name == made.entry_name
    assert found.argument_types == made.argument_types == first.signature
    assert bytes(found.library.get_cubin().code) == bytes(made.library.get_cubin().code)
    for one in (made, found):
        one.library.get_cufunc()
    assert compilations.loaded[0] == compilations.loaded[-1]


class Room:
    """Stands for memory on a device."""

    size = 64
    device_ctypes_pointer = ctypes.c_void_p(4096)

    def view(self, *arguments):
        return self


def test_a_launch_hands_over_the_same(compilations, monkeypatch):
    """Compiled or found, a kernel takes the arguments in one way."""

    def array():
        return devicearray.DeviceNDArray((4,), (4,), np.dtype(np.float32), gpu_data=Room())

    launches: list[tuple] = []
    monkeypatch.setattr(dispatcher, "launch", lambda *given: launches.append(given))
    arguments = [np.int32(2), array(), array(), array(), np.int32(2), np.int32(1)]
    for _ in range(2):
        made = anew()
        # As a launch has it: the types are those of what is handed over.
        made.compiled._compile_for_args(*arguments)
        (types,) = made.compiled.overloads
        assert types == made.signature
        made.compiled.overloads[types].launch(arguments, (1, 1, 1), (32, 1, 1))
    assert compilations.count == 1
    plain = [
        [getattr(one, "value", one) for one in given if not hasattr(one, "grid")]
        for given in launches
    ]
    assert plain[0] == plain[1]
    assert len(plain[0]) == 2 + 3 + 3 * 7  # stream, kernel; numbers; of each array


@pytest.mark.parametrize(
    "damage",
    {
        "nothing": lambda file: b"",
        "no line": lambda file: file.replace(b"\n", b""),
        "cut": lambda file: file[:-1],
        "a bit": lambda file: file[:-100] + bytes([file[-100] ^ 1]) + file[-99:],
        "a list": lambda file: b"[]\n" + file.partition(b"\n")[2],
        "deep": lambda file: b"[" * 100_000 + b"\n",
        "no entry": lambda file: file.replace(b'"entry"', b'"entrx"', 1),
        "an entry of another kind": lambda file: _headed(file, entry=1),
        "another kernel": lambda file: _headed(file, of="[]"),
        "no cubin": lambda file: _headed(b"\nabc", of=json.loads(file.split(b"\n")[0])["of"]),
        "a pickle": lambda file: b"\x80\x04\x95\x1a\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\n",
    }.values(),
)
def test_a_damaged_file_is_written_anew(kept, compilations, monkeypatch, damage):
    right = kept.read_bytes()
    kept.write_bytes(damage(right))
    monkeypatch.setattr(code_file, "_warned", set())
    made = anew()
    with pytest.warns(UserWarning, match="compiled anew") as said:
        assert not made.in_cache()
        made.load()
    assert len(said) == 1
    assert compilations.count == 1
    assert anew().in_cache()
    assert len(kept.read_bytes()) == len(right)


def _headed(file: bytes, **changes) -> bytes:
    line, _, code = file.partition(b"\n")
    head = {**json.loads(line or b"{}"), **changes}
    head.pop("sha256", None)
    return code_file.content(head.pop("of"), code, **head)


def test_code_depends_on_how_it_is_compiled():
    paths = {
        path_of(anew()),
        path_of(anew(most_registers=32)),
        path_of(anew(fastmath=True)),
        path_of(anew(fastmath={"contract", "nnan"})),
        path_of(anew(layout.fill_zero)),
    }
    pretend((8, 0))
    paths.add(path_of(anew()))
    assert len(paths) == 6
    assert path_of(anew(fastmath={"nnan", "contract"})) == path_of(
        anew(fastmath={"contract", "nnan"})
    )


def test_a_change_in_any_source_is_another_folder(monkeypatch, tmp_path):
    """Not just one in the kernel's own file."""
    shutil.copytree(PACKAGE / "kernels", tmp_path / "kernels")
    before = cubin_cache.stamp.__wrapped__()
    monkeypatch.setattr(code_cache, "PACKAGE", tmp_path)
    assert cubin_cache.stamp.__wrapped__() == before
    for name in ("kernels/cuda/runtime/memory_access.py", "kernels/shared/optimizers.py"):
        with (tmp_path / name).open("r+") as file:
            file.seek(0, 2)
            file.write("# changed\n")
        assert cubin_cache.stamp.__wrapped__() != before
        before = cubin_cache.stamp.__wrapped__()
    monkeypatch.setattr(cubin_cache, "_tools", lambda: ["another version"])
    assert cubin_cache.stamp.__wrapped__() != before


def test_what_compiles_is_known():
    tools = cubin_cache._tools()
    for name in ("numba ", "numba-cuda ", "llvmlite ", "libnvvm", "libnvJitLink"):
        assert any(one.startswith(name) for one in tools), name


def sources(function: FunctionType, seen: set[FunctionType]) -> None:
    """Collect every function of the package that is compiled with one.

    What is made of text has no module: the text is made by one of those that have.
    """
    if function in seen or not (function.__module__ or "").startswith("fastcnn."):
        return
    seen.add(function)
    closed = inspect.getclosurevars(function)
    for found in (*closed.globals.values(), *closed.nonlocals.values()):
        python = getattr(found, "py_func", found)
        if isinstance(python, FunctionType):
            sources(python, seen)


def test_all_code_of_kernels_is_in_the_digest():
    compile.import_kernels()
    seen: set[FunctionType] = set()
    for one in all_kernels():
        sources(one.body, seen)
        assert isinstance(one.compiled, CUDADispatcher)
    files = {Path(inspect.getsourcefile(one)) for one in seen}
    digested = code_cache.sources(cubin_cache.ROOMS, cubin_cache.WITHOUT)
    assert files <= {code_cache.PACKAGE / path for path in digested}
    assert {PACKAGE / "kernels" / "shared", PACKAGE / "kernels" / "cuda" / "gemm"} <= {
        one.parent for one in files
    }
    assert len(seen) > 2 * len(all_kernels()) / 3


def test_a_kernel_of_another_place_is_not_kept(compilations):
    def body(count, x):
        x[0] = count

    types = activation.add.arguments
    body.__annotations__ = {"count": types["count"], "x": types["y"]}
    made = Kernel(body, elements())
    made.load()
    made.keep()
    assert not made.in_cache()
    assert not cubin_cache.folder().exists()


def test_nothing_is_kept_where_nothing_can_be(monkeypatch, tmp_path, compilations):
    monkeypatch.setenv("FASTCNN_CACHE", "0")
    anew().load()
    assert not anew().in_cache()
    assert not cubin_cache.writable()
    monkeypatch.delenv("FASTCNN_CACHE")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FASTCNN_CACHE_DIR", str(tmp_path / "file"))
    monkeypatch.setattr(code_file, "_warned", set())
    with pytest.warns(UserWarning, match="cannot be kept in .*FASTCNN_CACHE_DIR"):
        anew().load()
    assert not anew().in_cache()
    assert not cubin_cache.writable()
    assert compilations.count == 2


def test_another_numba_cuda_only_costs_time(kept, monkeypatch, compilations, capsys):
    """Its classes are its own affair: where they changed, kernels are compiled as ever."""

    def changed(cls, *arguments, **settings):
        raise TypeError("unexpected keyword argument 'lto'")

    monkeypatch.setattr(_Kernel, "_rebuild", classmethod(changed))
    for _ in range(2):
        anew().load()
    assert compilations.count == 2
    assert capsys.readouterr().err == (
        "fastcnn: compiled kernels are not kept: numba-cuda does not take them back (TypeError: "
        "unexpected keyword argument 'lto')\n"
    )


def test_missing_kernels_are_compiled_in_processes(monkeypatch, compilations, capfd):
    """Each in one; what they wrote is loaded."""
    made = [register(anew(one)) for one in (activation.add, layout.fill_zero, layout.copy_rows)]
    monkeypatch.setattr(compile, "WORTH", 1)
    monkeypatch.setattr(compile, "num_threads", lambda: 2)
    compile.load([*made, made[0]])
    assert compilations.count == 0
    assert all(one.loaded for one in made)
    assert len(list(cubin_cache.folder().glob("*.cubin"))) == 3
    assert capfd.readouterr().err == (
        "fastcnn: compiling for this GPU, first run only: add, fill_zero, copy_rows\n"
    )
    compile.load(made)
    compile.compile_missing(made)
    assert capfd.readouterr().err == ""


def test_few_kernels_are_compiled_here(monkeypatch, compilations):
    monkeypatch.setattr(compile_processes, "beside", None)
    compile.load([anew()])
    assert compilations.count == 1
    monkeypatch.setattr(compile, "WORTH", 1)
    monkeypatch.setattr(compile, "num_threads", lambda: 1)
    compile.load([anew(layout.fill_zero), anew(layout.copy_rows)])
    assert compilations.count == 3


def test_processes_that_fail_leave_the_work(monkeypatch, compilations):
    monkeypatch.setattr(compile, "MODULE", "fastcnn.no_such_module")
    monkeypatch.setattr(compile, "WORTH", 1)
    monkeypatch.setattr(compile, "num_threads", lambda: 2)
    made = [anew(), anew(layout.fill_zero)]
    compile.load(made)
    assert compilations.count == 2
    monkeypatch.setattr(compile.sys, "executable", "/no/such/python")
    compile.load([anew(layout.copy_rows), anew(layout.crop_image)])
    assert compilations.count == 4
    monkeypatch.setattr(compile_processes, "beside", None)
    monkeypatch.setattr(compile.sys, "frozen", True, raising=False)
    compile.load([anew(), anew(layout.pad_image)])
    assert compilations.count == 5

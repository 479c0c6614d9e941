"""Compiled kernels on disk: what is damaged is made anew, what others could have written is not
read, and nothing is removed that was not made here. Those of a GPU: test_cuda_cubins.py."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
import warnings
from pathlib import Path

import llvmlite.binding as llvm
import numpy as np
import pytest

from fastcnn.cli import main
from fastcnn.kernels import code_cache, code_file, lazy_numba
from fastcnn.kernels.code_file import CodeFile
from fastcnn.kernels.cpu.layout import fill_zero
from fastcnn.kernels.cpu.runtime import compile_cache
from fastcnn.kernels.cpu.runtime.kernel import Kernel, as_record, record
from fastcnn.kernels.cpu.runtime.njit_cache import cached_njit
from fastcnn.kernels.cpu.simd.pointers import doubles, record_at
from fastcnn.strategies import timing_cache

posix = pytest.mark.skipif(os.name != "posix", reason="Windows has other permissions")


def twice(x):
    return 2 * x


def anew():
    """The function as another process has it: not compiled yet."""
    return cached_njit()(twice)


def compiled(function) -> bool:
    """Call a function; say whether that compiled it."""
    assert function(21) == 42
    return not function.stats.cache_hits


@pytest.fixture(autouse=True)
def place(monkeypatch, tmp_path) -> Path:
    """An empty cache, and nothing said yet."""
    monkeypatch.setenv("FASTCNN_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("FASTCNN_CACHE", raising=False)
    monkeypatch.setattr(code_file, "_warned", set())
    return tmp_path / "cache"


@pytest.fixture
def kept(place) -> Path:
    """The file of `twice`."""
    assert compiled(anew())
    (path,) = place.glob("kernels/*/*.nbc")
    return path


def test_another_process_finds_the_code(kept):
    assert not compiled(anew())


def test_a_kernels_file_is_object_code_and_the_name_of_its_function(place):
    for _ in range(2):
        kernel = Kernel(fill_zero._body, fill_zero.dtype, False)
        kernel.compile()
        numbers = np.ones(3, np.float32)
        record = as_record(kernel.dtype, {"y": numbers.ctypes.data, "size": 2})
        kernel.call(record.ctypes.data)
        assert numbers.tolist() == [0, 0, 1]
    (path,) = place.glob("kernels/*/fill_zero*")
    head, code = code_file._parts(path.read_bytes())
    assert head.keys() == {"of", "symbol", "needs"}
    llvm.ObjectFileRef.from_data(code)


def test_kernels_of_the_same_name_but_another_body_have_files_of_their_own(place):
    """As two versions of a kernel in a test or in a user's own module, which no digest covers."""
    fields = record("y")

    def one(pointer):
        doubles(record_at(pointer).y, 1)[0] = 1

    def two(pointer):
        doubles(record_at(pointer).y, 2)[1] = 1

    two.__name__ = "one"
    for body, expected in ((one, [1, 0]), (two, [0, 1]), (one, [1, 0])):
        kernel, numbers = Kernel(body, fields, False), np.zeros(2)
        kernel.call(as_record(fields, {"y": numbers.ctypes.data}).ctypes.data)
        assert numbers.tolist() == expected
    assert len([*place.glob("kernels/*/one*")]) == 2


def test_code_that_needs_functions_of_numbas_has_them_made_known(monkeypatch):
    """LLVM ends the process where it meets a function that it does not know."""
    known: list[bool] = []
    monkeypatch.setattr(lazy_numba, "make_symbols_known", lambda: known.append(True))
    kernel = Kernel(fill_zero._body, fill_zero.dtype, False)
    code = kernel._compiled()
    for needs, expected in (["memset", "expf"], 0), (["memset", "no_such_function"], 1):
        kernel._link(CodeFile({**code.more, "needs": needs}, code.code))
        assert len(known) == expected


DAMAGES = {
    "empty": lambda file: b"",
    "half": lambda file: file[: len(file) // 2],
    "one byte short": lambda file: file[:-1],
    "zeros": lambda file: bytes(len(file)),
    "a pickle": lambda file: file.partition(b"\n")[2],
    "a list": lambda file: b"[]\n" + file,
    "deep": lambda file: b"[" * 100_000 + b"\n",
    "another head": lambda file: file.replace(b'{"of": "', b'{"of": "x', 1),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_file_is_compiled_anew_and_said_once(kept, damage):
    right = kept.read_bytes()
    kept.write_bytes(damage(right))
    with pytest.warns(UserWarning, match="compiled anew") as said:
        assert compiled(anew())
    assert len(said) == 1
    assert str(kept) in str(said[0].message)
    code_file.check(kept)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not compiled(anew())


def test_a_folder_or_a_pipe_in_the_place_of_a_file(kept):
    kept.unlink()
    kept.mkdir()
    with (
        pytest.warns(UserWarning, match="compiled anew"),
        pytest.warns(UserWarning, match="cannot be kept in .* it is a folder"),
    ):
        assert compiled(anew())
    if hasattr(os, "mkfifo"):
        kept.rmdir()
        os.mkfifo(kept)
        assert compiled(anew())


def test_no_damage_reaches_the_unpickling(kept, monkeypatch):
    """Any byte changed, any end cut off: what is read is right, or nothing."""
    right = kept.read_bytes()
    (of, head, code) = (eval(right.partition(b"\n")[0])["of"], *code_file._parts(right))
    rng = random.Random(7)
    monkeypatch.setattr(code_file, "_warned", {"damaged"})
    for _ in range(300):
        file = bytearray(right)
        at = rng.randrange(len(file)) if rng.random() < 0.5 else rng.randrange(300)
        kind = rng.randrange(3)
        if kind == 0:
            file[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del file[at:]
        else:
            file[at : at + 50] = bytes(50)
        kept.write_bytes(file)
        found = code_file.read(kept, of)
        assert found is None or (bytes(file) == right and found.code == code)
    kept.write_bytes(right)
    assert code_file.read(kept, of) == (
        {name: value for name, value in head.items() if name != "of"},
        code,
    )


def test_a_file_of_another_function_is_not_taken(kept):
    of = eval(kept.read_bytes().partition(b"\n")[0])["of"]
    assert code_file.read(kept, of) is not None
    with pytest.warns(UserWarning, match="another kernel"):
        assert code_file.read(kept, of + "x") is None


FIRST_STEP = """
import warnings, numpy as np, fastcnn
from fastcnn.layers import *
m = fastcnn.Sequential([Flatten(), Dense(3)], input_shape=(4, 4, 1)); m.compile("sgd", "mse")
print(m.train_on_batch(np.ones((2, 4, 4, 1), np.float32), np.ones((2, 3), np.float32)))
"""


def step(place: Path) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", FIRST_STEP],
        env={**os.environ, "FASTCNN_CACHE_DIR": str(place)},
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )


def test_a_first_step_with_damaged_files_gives_the_same_loss(tmp_path, monkeypatch):
    monkeypatch.undo()  # the kernels of the other tests are used, where they are kept
    root = compile_cache.cache_directory()
    if root is None:
        monkeypatch.setenv("FASTCNN_CACHE_DIR", str(tmp_path / "cache"))
        root = compile_cache.cache_directory()
    monkeypatch.setenv("FASTCNN_CACHE", "1")
    right = step(root.parent)
    copy = tmp_path / "copy"
    shutil.copytree(
        root / compile_cache.source_stamp("cpu"),
        copy / "kernels" / compile_cache.source_stamp("cpu"),
        # What other tests are just writing.
        ignore=shutil.ignore_patterns(".*.partial"),
    )
    files = [
        path
        for path in copy.glob("kernels/*/*.nbc")
        if path.name.startswith(("update_sgd-", "loss_mean_squared_error-"))
    ]
    assert len(files) >= 2
    for number, path in enumerate(files):
        path.write_bytes([b"", path.read_bytes()[:1000]][number % 2])
    again = step(copy)
    assert again.stdout == right.stdout
    assert again.stderr.count("compiled anew") == 1
    assert "compiling for this CPU" in again.stderr
    assert step(copy).stderr == ""


@posix
@pytest.mark.parametrize("mode", [0o775, 0o757])
@pytest.mark.parametrize("part", ["cache", "kernels", "digest", "file"])
def test_what_others_may_write_is_not_read(kept, place, part, mode):
    target = {"cache": place, "kernels": place / "kernels", "digest": kept.parent, "file": kept}
    before = kept.stat()
    target[part].chmod(mode)
    message = "compiled anew" if part == "file" else "FASTCNN_CACHE_DIR"
    with pytest.warns(UserWarning, match=message) as said:
        assert compiled(anew())
        assert compiled(anew()) or part == "file"  # a single file was written anew
    assert len(said) == 1
    assert f"mode {mode:o}" in str(said[0].message)
    assert (kept.stat().st_ino == before.st_ino) == (part != "file")
    assert not kept.stat().st_mode & 0o022


@posix
@pytest.mark.parametrize("part", ["cache", "kernels", "digest", "file"])
def test_what_belongs_to_another_user_is_not_read(kept, place, part, monkeypatch):
    target = {"cache": place, "kernels": place / "kernels", "digest": kept.parent, "file": kept}
    if os.geteuid() == 0:
        os.chown(target[part], 65534, 65534)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.warns(UserWarning, match="belongs to another user"):
        assert compiled(anew())


@posix
def test_a_shared_temporary_folder_will_do(place):
    """Its sticky bit keeps others from putting anything in the place of what is ours."""
    place.mkdir()
    place.chmod(0o1777)
    assert compiled(anew())
    assert not compiled(anew())


@posix
def test_what_is_made_is_ours_alone_under_any_umask(place, monkeypatch, tmp_path):
    before = os.umask(0)
    try:
        monkeypatch.delenv("FASTCNN_MEASUREMENTS", raising=False)
        timing_cache._write(place / "measurements" / "x.json", {}, "cpu")
        assert compiled(anew())
        assert not compiled(anew())
    finally:
        os.umask(before)
    for path in [place, *place.rglob("*")]:
        if path.parent.name != "measurements":
            assert not path.stat().st_mode & 0o022, path


def aged(folder: Path) -> None:
    long_ago = time.time() - 2 * code_cache.UNUSED
    for path in (*folder.rglob("*"), folder):
        os.utime(path, (long_ago, long_ago))


def test_old_folders_of_ours_go_and_no_others(place):
    kernels = place / "kernels"
    ours, mixed, unmarked, other_mark = (kernels / (letter * 16) for letter in "abcd")
    for folder in (ours, mixed):
        code_cache.prepare(folder)
        (folder / "tiles-0.nbc").write_text("code")
    (mixed / "thesis.txt").write_text("precious")
    for folder in (unmarked, other_mark, kernels / "mine"):
        folder.mkdir()
        (folder / "thesis.txt").write_text("precious")
    (other_mark / code_cache.MARK).write_text("Signature: of somebody else")
    (kernels / "a file").write_text("precious")
    linked = place / "linked"
    shutil.copytree(ours, linked)
    if os.name == "posix":
        (kernels / ("e" * 16)).symlink_to(linked)
    aged(place)
    code_cache.prepare(kernels / ("f" * 16))
    assert not ours.exists()
    assert [path.name for path in mixed.iterdir() if path.name != code_cache.MARK] == ["thesis.txt"]
    for folder in (mixed, unmarked, other_mark, kernels / "mine"):
        assert (folder / "thesis.txt").read_text() == "precious"
    assert (kernels / "a file").exists()
    assert (linked / "tiles-0.nbc").exists()


def test_importing_touches_nothing(place):
    mine = place / "kernels" / "mine"
    mine.mkdir(parents=True)
    (mine / "thesis.txt").write_text("precious")
    aged(place)
    subprocess.run([sys.executable, "-c", "import fastcnn"], timeout=120, check=True)
    assert [path.name for path in place.rglob("*")] == ["kernels", "mine", "thesis.txt"]


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_every_source_under_the_rooms_counts(monkeypatch, tmp_path, device):
    """Also in a folder within a folder; but not the other device's kernels."""
    for room in compile_cache.ROOMS:
        shutil.copytree(code_cache.PACKAGE / room, tmp_path / room)
    stamp = compile_cache.source_stamp.__wrapped__
    before = stamp(device)
    monkeypatch.setattr(code_cache, "PACKAGE", tmp_path)
    assert stamp(device) == before
    deep = tmp_path / "kernels" / device / "new" / "deeper" / "file.py"
    deep.parent.mkdir(parents=True)
    deep.write_text("")
    seen = {before}
    paths = [*tmp_path.rglob("*.py")]
    assert len(paths) > 50
    for path in paths:
        if tmp_path / "kernels" / compile_cache.OTHER_DEVICE[device] in path.parents:
            continue
        path.write_text(path.read_text(encoding="utf-8") + "# changed\n", encoding="utf-8")
        found = stamp(device)
        assert found not in seen, path
        seen.add(found)
    for path in (tmp_path / "kernels" / compile_cache.OTHER_DEVICE[device]).rglob("*.py"):
        path.write_text("")
    assert stamp(device) == found
    deep.rename(deep.parents[1] / "file.py")
    assert stamp(device) not in seen


def test_the_survey_counts(kept):
    assert code_cache.survey() == (1, [], [], None)
    empty = kept.with_name("tiles-0.nbc")
    empty.write_text("")
    assert code_cache.survey() == (1, [empty], [], None)
    if os.name == "posix":
        kept.chmod(0o666)
        assert code_cache.survey() == (0, [empty], [kept], None)
        kept.parent.chmod(0o777)
        assert "others" in code_cache.survey().refused


def test_nothing_is_kept_where_nothing_can_be(monkeypatch, tmp_path, place):
    monkeypatch.setenv("FASTCNN_CACHE", "0")
    assert compiled(anew())
    assert compiled(anew())
    assert not place.exists()
    monkeypatch.delenv("FASTCNN_CACHE")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FASTCNN_CACHE_DIR", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="cannot be kept in .*FASTCNN_CACHE_DIR") as told:
        assert compiled(anew())
        assert compiled(anew())
    assert len(told) == 1


def test_info_tells_what_is_in_the_cache(kept, capsys):
    kept.with_name("tiles-0.nbc").write_text("")
    assert main(["info", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["kernel_cache"]
    assert (told["kernels"], told["refused"]) == (1, None)
    assert told["damaged"] == [str(kept.with_name("tiles-0.nbc"))]
    assert told["bytes"] > kept.stat().st_size
    if os.name == "posix":
        kept.parent.chmod(0o777)
    assert main(["info"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "1 kernels" in said
    assert "tiles-0.nbc" in said
    assert os.name != "posix" or f"chmod go-w '{kept.parent}'" in said


def test_code_from_the_cache_needs_nothing_of_numba():
    """Its import would take longer than the rest of a first step."""
    code = """
import sys
import numpy, fastcnn
model = fastcnn.Sequential([fastcnn.layers.Dense(3, "softmax")], (4,), device="cpu")
model.compile("sgd", "sparse_categorical_crossentropy")
print(model.train_on_batch(numpy.ones((2, 4)), [0, 1]), "numba" in sys.modules)
"""
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    first, second = (
        subprocess.run(
            [sys.executable, "-c", code],
            env=environment, capture_output=True, text=True, check=True,
        ).stdout.split()
        for _ in range(2)
    )  # fmt: skip
    assert second == [first[0], "False"]

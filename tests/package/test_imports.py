"""The package holds to its drawing: imports go one way, files stay small, the start stays light."""

from __future__ import annotations

import ast
import importlib
import json
import re
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import fastcnn

PACKAGE = Path(fastcnn.__file__).parent
FILES = sorted(path for path in PACKAGE.rglob("*.py"))

# The house from top to bottom: a package imports only from packages on a lower line. What is
# imported for its types alone counts as well. `fastcnn/__init__.py` is the front door and may open
# every room.
HOUSE = """
    __main__
    cli
    lab serving
    zoo convolutions sklearn
    explain
    applications
    models
    interop
    saving
    training
    autotune callbacks metrics plots
    devices functional
    backends
    layers
    strategies
    kernels
    graph optimizers data
    initializers losses regularizers schedules hdf5 _ext distributed
    utils _version
"""
LEVEL = {room: level for level, line in enumerate(HOUSE.split("\n")) for room in line.split()}
# What these are made of does not know what is made of them.
WITHOUT_MODELS = ("backends", "kernels", "graph", "data", "layers")

MOST_LINES = 350
# Imported by the functions that need them: they would cost every start dearly.
LATE = {
    *("h5py", "rich", "matplotlib", "PIL", "pooch", "onnx", "safetensors", "google", "sklearn"),
    *("starlette", "uvicorn", "python_multipart", "mpi4py"),
    *("pandas", "tensorboardX", "mlflow", "wandb"),
}
# Those of our own that few programs need, and what comes with `statistics`.
FOR_FEW = (
    "decimal",
    "fastcnn.autotune",
    "fastcnn.data.folder",
    "fastcnn.data.files",
    "fastcnn.interop",
    "fastcnn.saving",
)
PEERS = {"torch", "keras", "tensorflow", "jax", "onnxruntime"}
# What reads files that one of them alone can read, where it is installed.
PEERS_READ_IN = "fastcnn.interop.pytorch.files"
# A script that the lab runs in a process of its own, in the peer's interpreter; nobody imports it.
PEER_SCRIPT = "fastcnn.lab.measure.torch_peer"


def module_of(path: Path) -> str:
    """layers/dense.py -> fastcnn.layers.dense; a folder's __init__.py has the folder's name."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(source: str, module: str, is_package: bool = False) -> set[str]:
    """Every dotted name that a module's source imports, wherever it stands.

    `from a.b import c` gives both a.b and a.b.c, since c may be a module.
    """
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                steps = module.split(".")
                kept = len(steps) - node.level + (1 if is_package else 0)
                base = ".".join([*steps[:kept], *([base] if base else [])])
            names.add(base)
            names.update(f"{base}.{alias.name}" for alias in node.names)
    return names


IMPORTS = {
    module_of(path): imports(
        path.read_text(encoding="utf-8"), module_of(path), path.name == "__init__.py"
    )
    for path in FILES
}


def room_of(name: str) -> str | None:
    """The room of a dotted name of fastcnn's, None for anything else and for the front door."""
    package, *parts = name.split(".")
    return parts[0] if package == "fastcnn" and parts and parts[0] in LEVEL else None


def starting(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(prefix + ".")


READINGS = [
    ("import numba.cuda", "fastcnn.x", False, {"numba.cuda"}),
    ("from numba import cuda", "fastcnn.x", False, {"numba", "numba.cuda"}),
    ("from .a import b", "fastcnn.x.y", False, {"fastcnn.x.a", "fastcnn.x.a.b"}),
    ("from . import a", "fastcnn.x.y", False, {"fastcnn.x", "fastcnn.x.a"}),
    ("from . import a", "fastcnn.x", True, {"fastcnn.x", "fastcnn.x.a"}),
    ("from ..z import a", "fastcnn.x.y", False, {"fastcnn.z", "fastcnn.z.a"}),
    ("from ..z import a", "fastcnn.x.y", True, {"fastcnn.x.z", "fastcnn.x.z.a"}),
    ("def f():\n    import h5py", "fastcnn.x", False, {"h5py"}),
    ("if TYPE_CHECKING:\n    import a\nelse:\n    import b", "fastcnn.x", False, {"a", "b"}),
]


@pytest.mark.parametrize(("source", "module", "is_package", "expected"), READINGS)
def test_imports_are_read(source, module, is_package, expected):
    assert imports(source, module, is_package) == expected


def test_every_room_is_in_the_drawing():
    assert all(room_of(name) for name in set(IMPORTS) - {"fastcnn"})
    assert {room_of(name) for name in IMPORTS} - {None} == set(LEVEL)


@pytest.mark.parametrize("module", [name for name in IMPORTS if room_of(name)])
def test_imports_go_down(module):
    room = room_of(module)
    for name in IMPORTS[module]:
        other = room_of(name)
        if other is not None and other != room:
            assert LEVEL[other] > LEVEL[room], f"{module} imports {name}, which is not below it"


def modules_used(names: set[str]) -> set[str]:
    """The modules of fastcnn whose contents are imported: a folder's own, its __init__.py, only
    where more is taken from it than the modules in it."""
    used = set()
    for name in names & IMPORTS.keys() - {"fastcnn"}:
        members = {other for other in names if other.rpartition(".")[0] == name}
        if not members or members - IMPORTS.keys():
            used.add(name)
    return used


def test_no_module_is_in_a_circle():
    """Neither among modules: what imports each other cannot be read one after the other."""
    modules = {
        name: modules_used(names) - {name} for name, names in IMPORTS.items() if name != "fastcnn"
    }
    assert not circle(modules)


def circle(modules: dict[str, set[str]]) -> list[str]:
    """The modules of a circle, the first one again at its end; none where there is no circle."""
    try:
        list(TopologicalSorter(modules).static_order())
    except CycleError as error:
        return list(error.args[1])
    return []


def test_a_planted_circle_is_found_though_an_import_is_for_types_alone():
    down, up = "fastcnn.layers.dense", "fastcnn.layers.base"
    for_types = "if TYPE_CHECKING:\n    from fastcnn.layers.dense import Dense"
    modules = {
        down: modules_used(imports("from fastcnn.layers.base import Layer", down)),
        up: modules_used(imports("import numpy", up)),
    }
    assert not circle(modules)
    modules[up] = modules_used(imports(for_types, up))
    assert {*circle(modules)} == {down, up}


def test_contents_of_a_folder_count_for_the_folder():
    assert modules_used({"fastcnn.layers", "fastcnn.layers.base"}) == {"fastcnn.layers.base"}
    of_folder = {"fastcnn.layers", "fastcnn.layers.from_config"}
    assert modules_used(of_folder) == {"fastcnn.layers"}


MODEL = re.compile(r"\bSequential\b")


@pytest.mark.parametrize("room", WITHOUT_MODELS)
def test_what_is_below_names_no_model(room):
    """Neither in code nor in words, which would tell a reader to look up."""
    for path in (PACKAGE / room).rglob("*.py"):
        assert not MODEL.search(path.read_text(encoding="utf-8")), path


def test_cpu_and_cuda_kernels_know_nothing_of_each_other():
    for module, names in IMPORTS.items():
        for own, other in (("cpu", "cuda"), ("cuda", "cpu")):
            if starting(module, f"fastcnn.kernels.{own}"):
                assert not any(starting(name, f"fastcnn.kernels.{other}") for name in names)


def test_numba_cuda_stays_in_the_cuda_rooms():
    allowed = ("fastcnn.kernels.cuda", "fastcnn.backends.cuda")
    for module, names in IMPORTS.items():
        if not any(starting(module, place) for place in allowed):
            assert not any(starting(name, "numba.cuda") for name in names), module


def test_no_framework_is_needed():
    for module, names in IMPORTS.items():
        if module not in (PEER_SCRIPT, PEERS_READ_IN):
            assert not {name.split(".")[0] for name in names} & PEERS, module
        assert PEER_SCRIPT not in names, module


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_files_are_small_and_have_no_assert(path):
    source = path.read_text(encoding="utf-8")
    assert source.count("\n") <= MOST_LINES
    asserts = [node.lineno for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Assert)]
    assert not asserts, f"{path}: assert in lines {asserts}"


def test_importing_and_a_first_step_load_no_late_module():
    program = """
import json, sys
import numpy as np
import fastcnn
from fastcnn import layers
model = fastcnn.Sequential([layers.Flatten(), layers.Dense(2)], input_shape=(2, 2, 1))
model.compile("sgd", "mse")
model.train_on_batch(np.ones((1, 2, 2, 1), np.float32), np.ones((1, 2), np.float32))
print(json.dumps(sorted(sys.modules)))
"""
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=True
    )
    modules = json.loads(result.stdout.splitlines()[-1])
    assert not {name.split(".")[0] for name in modules} & (LATE | PEERS)
    assert not [name for name in modules if name.startswith(FOR_FEW)]


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_the_command_says_what_it_is_without_numba(option):
    program = f"""
import sys
from fastcnn.cli import main
try:
    main(["{option}"])
finally:
    print(" ".join(sys.modules))
"""
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=100
    )
    assert result.returncode == 0, result.stderr
    loaded = {name.split(".")[0] for name in result.stdout.splitlines()[-1].split()}
    assert "fastcnn" in loaded
    assert not loaded & (LATE | PEERS | {"numba", "numpy", "multiprocessing"})


LAZY = [fastcnn, fastcnn.data]


@pytest.mark.parametrize("package", LAZY, ids=lambda package: package.__name__)
def test_a_package_offers_what_it_lists(package):
    for name in package.__all__:
        assert getattr(package, name) is not None
    assert {*package.__all__} <= {*dir(package)}
    with pytest.raises(AttributeError, match=f"'{package.__name__}' has no attribute 'nothing'"):
        _ = package.nothing


@pytest.mark.parametrize("package", LAZY, ids=lambda package: package.__name__)
def test_type_checkers_see_what_a_lazy_package_offers(package):
    tree = ast.parse(Path(package.__file__).read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    names = {
        alias.name: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert names.keys() == {*package.__all__} - {"__version__"}
    for name, module in names.items():
        other = importlib.import_module(module)
        expected = getattr(other, name, None) or importlib.import_module(f"{module}.{name}")
        assert getattr(package, name) is expected


def test_a_name_is_imported_when_it_is_used(tmp_path, monkeypatch):
    package = tmp_path / "offering"
    package.mkdir()
    (package / "__init__.py").write_text(
        "from fastcnn.utils.lazy_names import lazy_names\n"
        '__getattr__, __dir__ = lazy_names(__name__, {"offering.inner": "first second"})\n'
    )
    (package / "inner.py").write_text("first, second = 1, 2\n")
    (package / "broken.py").write_text("import no_such_module\n")
    monkeypatch.syspath_prepend(tmp_path)
    offering = importlib.import_module("offering")
    assert "offering.inner" not in sys.modules
    assert {"first", "second"} <= {*dir(offering)}
    assert (offering.first, offering.second) == (1, 2)
    assert offering.inner is sys.modules["offering.inner"]
    assert not hasattr(offering, "_inner")
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        _ = offering.broken

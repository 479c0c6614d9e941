"""The package holds to its drawing: imports go one way, files stay small, the start stays light."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import fastcnn

PACKAGE = Path(fastcnn.__file__).parent
FILES = sorted(path for path in PACKAGE.rglob("*.py"))

# The house from top to bottom. A room imports only from rooms on a lower line; what it does within
# itself is its own affair. `fastcnn/__init__.py` is the front door and may open every room. What is
# imported for its types alone, under `if TYPE_CHECKING:`, does not count.
HOUSE = """
    __main__
    cli
    lab
    zoo saving
    model
    model_settings
    training formats
    fitting parts
    fit_warnings stepped
    preparations
    callbacks passes plots
    checks monitors tuning
    endings targets
    history hooks interrupt metrics progress summary tuned
    window_remainder
    lookup state
    layers choices contest
    losses optimizers convolutions
    schedules regularizers initializers
    fusion gradients strategies
    devices
    engines.cpu engines.cuda
    engines.feed
    engines.engine engines.executable engines.flat_update engines.graph engines.launches
    engines.outbox engines.residence engines.resampling engines.update
    engines.pointwise engines.table
    engines.lowering engines.rewrites engines.schedule
    engines.mirror engines.places
    engines.batch engines.device_memory engines.execute engines.streams
    program measurements
    kernels
    problem disturbance
    data
    formats.hdf5_reader formats.hdf5_writer
    formats.hdf5_structures
    formats.errors
    _ext
    settings
    threads
    arguments arrays atomic chain forking machine memory messages naming training_warning trust
    file_lock
"""
LEVEL = {room: level for level, line in enumerate(HOUSE.split("\n")) for room in line.split()}

MOST_LINES = 350
# Imported by the functions that need them: they would cost every start dearly.
LATE = {"h5py", "rich", "matplotlib", "PIL", "pooch"}
PEERS = {"torch", "keras", "tensorflow", "jax", "onnxruntime"}
# A script that the lab runs in a process of its own, in the peer's interpreter; nobody imports it.
PEER_SCRIPT = "fastcnn.lab.torch_peer"


def module_of(path: Path) -> str:
    """layers/conv.py -> fastcnn.layers.conv; a folder's __init__.py has the folder's name."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(source: str, module: str, is_package: bool = False) -> set[str]:
    """Every dotted name that a module's source imports, wherever it stands, but for typing alone.

    `from a.b import c` gives both a.b and a.b.c, since c may be a module.
    """
    names: set[str] = set()
    for node in outside_type_checking(ast.parse(source)):
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


def outside_type_checking(tree: ast.AST):
    """Every node of the tree but those under `if TYPE_CHECKING:`."""
    if isinstance(tree, ast.If) and "TYPE_CHECKING" in ast.unparse(tree.test):
        children = tree.orelse
    else:
        yield tree
        children = list(ast.iter_child_nodes(tree))
    for child in children:
        yield from outside_type_checking(child)


IMPORTS = {
    module_of(path): imports(
        path.read_text(encoding="utf-8"), module_of(path), path.name == "__init__.py"
    )
    for path in FILES
}


def room_of(name: str) -> str | None:
    """The room of a dotted name of fastcnn's, None for anything else and for the front door."""
    package, *parts = name.split(".")
    rooms = (".".join(parts[:length]) for length in (2, 1))
    return next((room for room in rooms if package == "fastcnn" and room in LEVEL), None)


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
    ("if TYPE_CHECKING:\n    import a\nelse:\n    import b", "fastcnn.x", False, {"b"}),
]


@pytest.mark.parametrize(("source", "module", "is_package", "expected"), READINGS)
def test_imports_are_read(source, module, is_package, expected):
    assert imports(source, module, is_package) == expected


def test_every_room_is_in_the_drawing():
    doors = {"fastcnn", "fastcnn.engines"}
    assert all(room_of(name) for name in set(IMPORTS) - doors)
    assert {room_of(name) for name in IMPORTS} - {None} == set(LEVEL)


@pytest.mark.parametrize("module", [name for name in IMPORTS if room_of(name)])
def test_imports_go_down(module):
    room = room_of(module)
    for name in IMPORTS[module]:
        other = room_of(name)
        if other is not None and other != room:
            assert LEVEL[other] > LEVEL[room], f"{module} imports {name}, which is not below it"


def test_cpu_and_cuda_kernels_know_nothing_of_each_other():
    for module, names in IMPORTS.items():
        for own, other in (("cpu", "cuda"), ("cuda", "cpu")):
            if starting(module, f"fastcnn.kernels.{own}"):
                assert not any(starting(name, f"fastcnn.kernels.{other}") for name in names)


def test_numba_cuda_stays_in_the_cuda_rooms():
    allowed = ("fastcnn.kernels.cuda", "fastcnn.engines.cuda")
    for module, names in IMPORTS.items():
        if not any(starting(module, place) for place in allowed):
            assert not any(starting(name, "numba.cuda") for name in names), module


def test_no_framework_is_needed():
    for module, names in IMPORTS.items():
        if module != PEER_SCRIPT:
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
    loaded = {name.split(".")[0] for name in json.loads(result.stdout.splitlines()[-1])}
    assert not loaded & (LATE | PEERS)

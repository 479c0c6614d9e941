"""Every CUDA kernel compiles for each generation of GPUs, without one, and spills no register."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import ptx
import pytest

from fastcnn.kernels.cuda.gemm.mma_tf32 import INNER
from fastcnn.kernels.cuda.gemm.tile import TF32
from fastcnn.kernels.cuda.gemm.tile_selection import TILES
from fastcnn.kernels.cuda.runtime import cubin_cache
from fastcnn.kernels.cuda.runtime.kernel import all_kernels
from fastcnn.kernels.cuda.runtime.memory_access import VECTOR_BYTES
from fastcnn.utils import atomic_file, system

ptx.import_kernels()
PROCESSES = os.cpu_count() or 2
MOST_SHARED = 48 << 10
NEWEST = ptx.name_of(ptx.CAPABILITIES[-1])
KERNELS = {kernel.name: kernel for kernel in all_kernels()}
Assembled = dict[str, dict[str, dict[str, int]]]


# Kernels of one body with other numbers: what they are, and of which tile or stride, by the name.
FAMILIES = (
    r"((?:im2col|product|sum)[a-z_]*)_(\d+x\d+)",
    r"((?:im2col|product|sum)[a-z_]*)_tf32_(\w+)",
    r"direct_(\w+)_tile_(\w+)",
    r"depthwise_(\w*)taps_\w+_stride_(\w+)",
    r"winograd_(\w+)_\dx\d",
    r"(resample|add_mean_of)_\w+",
)
# One loop around functions that the tests of the CPU's kernels compile, every one: these stand for
# the others.
LOOPS = {
    "loss_": ("loss_softmax_cross_entropy_dense", "loss_multiclass_hinge"),
    "update_": ("update_adam", "update_rmsprop_centered_momentum"),
}


def sample() -> set[str]:
    """All kernels but most of those that are made many times, of one body."""
    names = set(KERNELS)
    for family in FAMILIES:
        found = {name: match.groups() for name in KERNELS if (match := re.fullmatch(family, name))}
        names -= set(found) - covering(found)
    for prefix, kept in LOOPS.items():
        names -= {name for name in names if name.startswith(prefix)} - set(kept)
    return names


def covering(family: dict[str, tuple[str, ...]]) -> set[str]:
    """Names of a family with each of its kinds and each of its tiles, the widest first: they need
    the most registers."""
    taken: set[str] = set()
    seen: set[str] = set()
    for new in (2, 1):
        for name in sorted(family, key=lambda name: (-size(name), name)):
            if len(set(family[name]) - seen) >= new:
                taken.add(name)
                seen.update(family[name])
    return taken


def size(name: str) -> int:
    """Rows x columns x what else is a number in a kernel's name."""
    return math.prod(map(int, re.findall(r"\d+", name)))


# Compiling takes most of the time, and linking for a capability as long again.
SAMPLE = sample()
CASES = [
    pytest.param(
        name,
        capability,
        marks=() if name in SAMPLE and capability == NEWEST else pytest.mark.exhaustive,
    )
    for name, kernel in KERNELS.items()
    for capability in map(ptx.name_of, ptx.capabilities(kernel))
]


@pytest.fixture(scope="module")
def assembled(request) -> Assembled:
    """What the assembler says of each kernel that a test asks for, by compute capability.

    It is kept from run to run for the same sources and versions of what compiles them.
    """
    items = [item for item in request.session.items if item.path == request.path]
    calls = [item.callspec.params for item in items if hasattr(item, "callspec")]
    names = sorted({params["name"] for params in calls})
    capabilities = sorted({params["capability"] for params in calls})
    key = [cubin_cache.stamp(), Path(ptx.__file__).read_text(), *names, *capabilities]
    digest = hashlib.sha256("\n".join(key).encode()).hexdigest()
    folder = system.cache_directory()
    path = None if folder is None else folder / f"assembled-{digest[:16]}.json"
    if path is not None and path.exists():
        return json.loads(path.read_text(encoding="utf-8"))
    results = assemble(names, capabilities)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file.replacing(path) as file:
            file.write(json.dumps(results).encode())
    return results


def assemble(names: list[str], capabilities: list[str]) -> Assembled:
    """Compile and link kernels in processes side by side."""
    script = str(Path(__file__).parents[1] / "helpers" / "ptx.py")
    running = [
        subprocess.Popen(
            [sys.executable, script, ",".join(capabilities), *share],
            stdout=subprocess.PIPE,
            text=True,
        )
        for share in ptx.shares(names, PROCESSES)
    ]
    results: Assembled = {}
    for process in running:
        out, _ = process.communicate()
        assert process.returncode == 0
        results |= json.loads(out)
    return results


@pytest.mark.parametrize(("name", "capability"), CASES)
def test_kernel(assembled, name, capability):
    found = assembled[name][capability]
    assert found["spills"] == found["stack"] == 0
    assert 0 < found["registers"] <= (KERNELS[name].most_registers or 255)
    assert found["shared"] <= MOST_SHARED
    # What shared memory a kernel reads in vectors must say so itself: no order of declarations
    # may be relied on.
    if found["vectors"] and found["shared"]:
        assert found["alignment"] == VECTOR_BYTES
    assert (found["copies"] > 0) == ("tf32" in name)
    assert found["tensor_cores"] == multiplications(name)


def test_kernels_are_compiled_for_several_capabilities():
    assert all(len(ptx.capabilities(kernel)) >= 2 for kernel in KERNELS.values())


def multiplications(name: str) -> int:
    """How many times a thread uses tensor cores in a slice, each time for four of its sums: so many
    instructions has the kernel, whose loop over the slices is there once."""
    tiles = [tile for tile in TILES[TF32] if name.endswith(tile.name)]
    return max((tile.sums // 4 * (tile.depth // INNER) for tile in tiles), default=0)

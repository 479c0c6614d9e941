"""Every CUDA kernel compiles for each generation of GPUs, without one, and spills no register."""

from __future__ import annotations

import hashlib
import json
import os
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
# Linking takes most of the time, so that `make test` does it for the newest capability alone.
CASES = [
    pytest.param(name, capability, marks=[] if capability == NEWEST else pytest.mark.exhaustive)
    for name, kernel in KERNELS.items()
    for capability in map(ptx.name_of, ptx.capabilities(kernel))
]
Assembled = dict[str, dict[str, dict[str, int]]]


@pytest.fixture(scope="module")
def assembled(request) -> Assembled:
    """What the assembler says of each kernel, by each compute capability that a test asks for.

    It is kept from run to run for the same sources and versions of what compiles them.
    """
    items = [item for item in request.session.items if item.path == request.path]
    calls = [item.callspec.params for item in items if hasattr(item, "callspec")]
    asked = {params["capability"] for params in calls if "capability" in params}
    sources = hashlib.sha256(cubin_cache.stamp().encode() + Path(ptx.__file__).read_bytes())
    name = f"assembled-{sources.hexdigest()[:16]}-{'-'.join(sorted(asked))}.json"
    folder = system.cache_directory()
    path = None if folder is None else folder / name
    if path is not None and path.exists():
        return json.loads(path.read_text(encoding="utf-8"))
    results = assemble(sorted(asked))
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file.replacing(path) as file:
            file.write(json.dumps(results).encode())
    return results


def assemble(capabilities: list[str]) -> Assembled:
    """Compile and link all kernels in processes side by side."""
    script = str(Path(__file__).parents[1] / "helpers" / "ptx.py")
    running = [
        subprocess.Popen(
            [sys.executable, script, str(number), str(PROCESSES), *capabilities],
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(PROCESSES)
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

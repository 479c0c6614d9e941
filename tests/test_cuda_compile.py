"""Every CUDA kernel compiles for each generation of GPUs, without one, and spills no register."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import ptx
import pytest

from fastcnn.kernels.cuda.access import VECTOR_BYTES
from fastcnn.kernels.cuda.kernel import all_kernels
from fastcnn.kernels.cuda.plans import TILES
from fastcnn.kernels.cuda.tensor_sums import INNER
from fastcnn.kernels.cuda.tile import TF32

ptx.import_kernels()
KERNELS = [one.name for one in all_kernels()]
PROCESSES = os.cpu_count() or 2
MOST_SHARED = 48 << 10


@pytest.fixture(scope="module")
def assembled() -> dict[str, dict[str, dict[str, int]]]:
    """What the assembler says of each kernel, by compute capability."""
    script = str(Path(__file__).with_name("ptx.py"))
    commands = [[sys.executable, script, str(i), str(PROCESSES)] for i in range(PROCESSES)]
    running = [subprocess.Popen(one, stdout=subprocess.PIPE, text=True) for one in commands]
    found: dict[str, dict[str, dict[str, int]]] = {}
    for process in running:
        out, _ = process.communicate()
        assert process.returncode == 0
        found |= json.loads(out)
    return found


@pytest.mark.parametrize("name", KERNELS)
def test_kernel(assembled, name):
    kernel = next(one for one in all_kernels() if one.name == name)
    assert len(assembled[name]) == len(ptx.capabilities(kernel)) >= 2
    for capability, found in assembled[name].items():
        assert found["spills"] == found["stack"] == 0, capability
        assert 0 < found["registers"] <= (kernel.most_registers or 255)
        assert found["shared"] <= MOST_SHARED
        # What shared memory a kernel reads in vectors must say so itself: no order of declarations
        # may be relied on.
        if found["vectors"] and found["shared"]:
            assert found["alignment"] == VECTOR_BYTES
        assert (found["copies"] > 0) == ("tf32" in name)
        assert found["tensor_cores"] == multiplications(name)


def multiplications(name: str) -> int:
    """How many times a thread uses tensor cores in a slice, each time for four of its sums: so many
    instructions has the kernel, whose loop over the slices is there once."""
    tiles = [tile for tile in TILES[TF32] if name.endswith(tile.name)]
    return max((tile.sums // 4 * (tile.depth // INNER) for tile in tiles), default=0)

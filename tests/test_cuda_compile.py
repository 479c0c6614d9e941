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

ptx.import_kernels()
KERNELS = [one.name for one in all_kernels()]
PROCESSES = os.cpu_count() or 2
MOST_SHARED = 48 << 10
# The widest tile holds 128 registers, so that a multiprocessor has two blocks; of the rest, bytes
# go to memory and back once in 512 multiply-adds. How many is up to the versions that compile.
# Convolutions spill nothing.
MAY_SPILL = {"sum_of_products_128x128": 64}


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
    assert len(assembled[name]) == len(ptx.capabilities(kernel)) == 2
    for capability, found in assembled[name].items():
        allowed = MAY_SPILL.get(name, 0)
        assert found["spills"] <= allowed and found["stack"] <= allowed, capability
        assert 0 < found["registers"] <= (kernel.most_registers or 255)
        assert found["shared"] <= MOST_SHARED
        # What shared memory a kernel reads in vectors must say so itself: no order of declarations
        # may be relied on.
        if found["vectors"] and found["shared"]:
            assert found["alignment"] == VECTOR_BYTES
        assert (found["tensor_cores"] > 0) == (found["copies"] > 0) == ("tf32" in name)

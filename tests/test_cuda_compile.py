"""Every CUDA kernel compiles for each generation of GPUs, without one, and spills no register."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import ptx
import pytest

from fastcnn.kernels.cuda.kernel import all_kernels

ptx.import_kernels()
KERNELS = [one.name for one in all_kernels()]
PROCESSES = 2
MOST_SHARED = 48 << 10
# The widest tiles of plain products hold 128 registers, so that a multiprocessor has two blocks; of
# the rest, bytes go to memory and back once in 512 multiply-adds. How many is up to the assembler's
# version. Convolutions spill nothing.
MOST_SPILLED = 96


def may_spill(name: str) -> int:
    plain = name.startswith(("product", "sum_of_products"))
    return MOST_SPILLED if plain and name.endswith("128x128") else 0


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
        allowed = may_spill(name)
        assert found["spills"] <= allowed and found["stack"] <= allowed, capability
        assert found["registers"] <= (kernel.most_registers or 255)
        assert found["shared"] <= MOST_SHARED

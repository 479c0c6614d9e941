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
# Bytes of registers that go to memory and back once in 512 multiply-adds, where one register more
# would leave room for one block on a multiprocessor in place of two.
SPILLED = {("product_128x128", "9.0"): 32}


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
    wanted = [one for one in ptx.CAPABILITIES if one >= kernel.least_capability]
    assert len(assembled[name]) == len(wanted) >= 2
    for capability, found in assembled[name].items():
        allowed = SPILLED.get((name, capability), 0)
        assert found["spills"] <= allowed and found["stack"] <= allowed, capability
        assert found["registers"] <= (kernel.most_registers or 255)
        assert found["shared"] <= MOST_SHARED

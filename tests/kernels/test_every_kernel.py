"""Every kernel of the CPU compiles, by itself and one after the other.

`tools/run_tests.sh` begins with this file: the other rooms find the code on disk. Where each
compiles what it lacks, several compile the same, and each its own of the functions that kernels
share, which takes four times as long.
"""

from __future__ import annotations

import gc
import importlib
import pkgutil

import pytest

import fastcnn.kernels.cpu
from fastcnn.backends.cpu import executable  # noqa: F401 (its code is among the kernels')
from fastcnn.kernels.cpu.runtime.code import codes

PACKAGE = fastcnn.kernels.cpu
for module in pkgutil.walk_packages(PACKAGE.__path__, f"{PACKAGE.__name__}."):
    importlib.import_module(module.name)


@pytest.fixture(scope="module", autouse=True)
def no_garbage_collection():
    """The compiler makes millions of objects that refer to each other and stay."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("name", codes())
def test_a_kernel_compiles(name):
    codes()[name].compile()
    assert codes()[name].loaded

"""Why a GPU cannot be used, in words, and what is done then: on fakes of numba-cuda and driver."""

from __future__ import annotations

import os
import sys
from importlib import metadata
from types import SimpleNamespace

import pytest
from cuda import bindings
from numba.cuda.cudadrv import driver as numba_driver

from fastcnn import devices
from fastcnn.kernels.cuda.runtime import device

UNAVAILABLE = (
    "the GPU is busy, full or out of order ([46] Call to cuDevicePrimaryCtxRetain results in "
    "CUDA_ERROR_DEVICE_UNAVAILABLE)"
)


class Gpu:
    """A GPU of some capability, whose driver knows a CUDA and whose toolkit is of another."""

    def __init__(self, capability=(9, 0), driver=13000, toolkit=(13, 0), context=True):
        self.found, self.context = capability, context
        self.driver = SimpleNamespace(cuDriverGetVersion=lambda: (0, driver))
        self.nvjitlink = SimpleNamespace(version=lambda: toolkit)

    def capability(self):
        if not self.context:
            raise RuntimeError(
                "[46] Call to cuDevicePrimaryCtxRetain results in CUDA_ERROR_DEVICE_UNAVAILABLE"
            )
        return self.found

    def install(self, monkeypatch):
        cuda = SimpleNamespace(
            implementation="NVIDIA",
            is_available=lambda: True,
            cuda_error=lambda: None,
            get_current_device=lambda: SimpleNamespace(name=b"Card"),
            current_context=lambda: SimpleNamespace(get_memory_info=lambda: (1, 2)),
        )
        monkeypatch.setattr(device, "cuda", cuda)
        monkeypatch.setattr(device, "capability", self.capability)
        for name in ("driver", "nvjitlink"):
            monkeypatch.setattr(bindings, name, getattr(self, name), raising=False)
            monkeypatch.setitem(sys.modules, f"cuda.bindings.{name}", getattr(self, name))
        monkeypatch.setattr(devices, "_driver", lambda: True)


def test_a_gpu_that_can_be_used(monkeypatch):
    Gpu().install(monkeypatch)
    assert device.why_not() is None and devices.resolve("auto", "tf32") == "cuda"
    assert device.describe()["driver"] == "13.0"


def test_a_gpu_that_gives_no_context_leaves_the_cpu(monkeypatch):
    """It is in use exclusively, or full."""
    Gpu(context=False).install(monkeypatch)
    assert devices.resolve("auto") == "cpu"
    assert devices.describe_cuda() | {"packages": {}} == {
        "available": False,
        "reason": UNAVAILABLE,
        "packages": {},
    }
    with pytest.raises(ValueError) as error:
        devices.resolve("cuda")
    assert str(error.value) == f"device='cuda': {UNAVAILABLE}."
    with pytest.raises(ValueError, match="'tf32' needs a GPU"):
        devices.resolve("auto", "tf32")


@pytest.mark.parametrize(
    ("driver", "toolkit", "remedy"),
    [
        (
            *(12040, (13, 5)),
            "the driver knows CUDA up to 12.4, but the toolkit is of 13.5: update the driver to "
            "580 or newer, or install fastcnn[cuda12] in place of fastcnn[cuda13]",
        ),
        (
            *(11080, (12, 9)),
            "the driver knows CUDA up to 11.8, but the toolkit is of 12.9: update the driver to "
            "525 or newer",
        ),
        (
            *(13010, (14, 0)),
            "the driver knows CUDA up to 13.1, but the toolkit is of 14.0: update the driver",
        ),
        (13000, (13, 5), None),
        (13000, (12, 9), None),
    ],
)
def test_a_driver_older_than_the_toolkit(monkeypatch, driver, toolkit, remedy):
    Gpu(driver=driver, toolkit=toolkit).install(monkeypatch)
    assert device.why_not() == remedy
    assert devices.resolve("auto") == ("cpu" if remedy else "cuda")


def test_versions_that_cannot_be_told_may_do(monkeypatch):
    Gpu(driver=None).install(monkeypatch)
    assert device.why_not() is None


def test_the_toolkit_is_of_its_bindings_where_it_does_not_say(monkeypatch):
    gpu = Gpu(driver=12040)
    del gpu.nvjitlink.version
    gpu.install(monkeypatch)
    monkeypatch.setattr(metadata, "version", lambda package: "13.2.0")
    assert device.toolkit_version() == "13.2" and "toolkit is of 13.2" in device.why_not()


def test_an_old_gpu(monkeypatch):
    Gpu(capability=(7, 0)).install(monkeypatch)
    assert device.why_not() == "Card has compute capability 7.0, below 7.5"
    with pytest.raises(ValueError, match=r"capability 8.0 or higher. This GPU has 7.5."):
        Gpu(capability=(7, 5)).install(monkeypatch)
        devices.resolve("cuda", "tf32")


def test_after_a_fork_the_gpu_is_refused(monkeypatch):
    Gpu().install(monkeypatch)
    monkeypatch.setattr(numba_driver.driver, "pid", os.getpid())
    device.check_process()
    assert device.why_not() is None
    monkeypatch.setattr(numba_driver.driver, "pid", os.getpid() + 1)
    with pytest.raises(RuntimeError, match=r"forked from one that used the GPU, .* 'spawn'"):
        device.check_process()
    assert "forked" in device.why_not() and devices.resolve("auto") == "cpu"


@pytest.mark.parametrize("suffix", ["", "-cu12"])
def test_the_toolkits_packages_are_shown(monkeypatch, suffix):
    there = {"numba-cuda": "1", f"nvidia-nvjitlink{suffix}": "2", f"nvidia-cuda-nvrtc{suffix}": "3"}

    def version(package):
        if package not in there:
            raise metadata.PackageNotFoundError
        return there[package]

    Gpu(context=False).install(monkeypatch)
    monkeypatch.setattr(metadata, "version", version)
    assert device.describe()["packages"] == there

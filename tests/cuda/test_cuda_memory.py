"""What is said where the GPU or the host has not enough memory, and streams of the engine's own."""

from __future__ import annotations

import gc
from types import SimpleNamespace

import numpy as np
import pytest
from cuda import bindings

from fastcnn.backends.cuda import memory, streams

GIB = 1 << 30


class Full:
    """Stands for numba.cuda: a device with some bytes free, a host with none to be pinned."""

    def __init__(self, free: int):
        self.free = free
        self.asked: list[int] = []

    def device_array(self, shape, dtype):
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        self.asked.append(size)
        if size > self.free:
            raise RuntimeError("[2] Call to cuMemAlloc results in CUDA_ERROR_OUT_OF_MEMORY")
        self.free -= size
        return SimpleNamespace(size=size)

    def pinned_array(self, shape, dtype):
        raise OSError("CUDA_ERROR_OUT_OF_MEMORY")

    def current_context(self):
        return SimpleNamespace(get_memory_info=lambda: (self.free, 8 * GIB))


@pytest.fixture
def full(monkeypatch) -> Full:
    made = Full(3 * GIB)
    monkeypatch.setattr(memory, "cuda", made)
    return made


def said(call, *arguments) -> str:
    with pytest.raises(MemoryError) as error:
        call(*arguments)
    return str(error.value)


def test_memory_that_is_not_there(full):
    found = said(memory.device_array, (2, GIB), np.float32, "the optimizer's slots")
    assert found == (
        "The GPU has 3.00 GiB free, but 8.00 GiB are needed for the optimizer's slots."
    )
    assert len(full.asked) == 2  # once more, after what was dropped is gone


def test_memory_that_is_free_the_second_time(full, monkeypatch):
    monkeypatch.setattr(gc, "collect", lambda: setattr(full, "free", 9 * GIB))
    assert memory.device_array(8 * GIB, np.uint8, "x").size == 8 * GIB


def test_the_batch_that_would_fit(full):
    """Each image takes a GiB, in two arrays, beside one for all."""
    with memory.batch(5, lambda images: (1 + images) * GIB):
        memory.device_array(GIB, np.uint8, "the weights")
        with memory.batch(5, lambda images: 0):  # knows of less
            found = said(memory.device_array, 5 * GIB, np.uint8, "the images")
    assert found == (
        "The GPU has 3.00 GiB free, but a batch of 5 needs 6.00 GiB, 5.00 GiB of them for the "
        "images: a batch of 2 would fit."
    )
    assert "are needed for x." in said(memory.device_array, 5 * GIB, np.uint8, "x")


def test_no_batch_fits(full):
    with memory.batch(2, lambda images: 4 * images * GIB):
        found = said(memory.device_array, 8 * GIB, np.uint8, "the images")
    assert found.endswith("for the images: not even one image would fit.")


def test_a_host_without_memory(full):
    found = said(memory.pinned_array, GIB, np.uint8, "results")
    assert found == "The host has no 1.00 GiB of memory to be pinned for results."


def test_other_errors_of_the_driver_stay(full, monkeypatch):
    def fail(shape, dtype):
        raise RuntimeError("CUDA_ERROR_ILLEGAL_ADDRESS")

    monkeypatch.setattr(full, "device_array", fail)
    with pytest.raises(RuntimeError, match="ILLEGAL_ADDRESS"):
        memory.device_array(1, np.uint8, "x")


def test_a_lack_of_memory_outside_arrays_is_told(full):
    with (
        pytest.raises(
            MemoryError, match=r"^The GPU has 3.00 GiB free, which .* enough for code\.$"
        ),
        memory.lack_told("code"),
    ):
        raise OSError("[2] Call to cuLibraryLoadData results in CUDA_ERROR_OUT_OF_MEMORY")
    with pytest.raises(OSError, match="INVALID"), memory.lack_told("code"):
        raise OSError("CUDA_ERROR_INVALID_IMAGE")
    with pytest.raises(MemoryError, match="a batch"), memory.lack_told("code"):
        raise MemoryError("a batch")


def test_what_was_dropped_counts_as_free(full):
    pending = SimpleNamespace(clear=lambda: setattr(full, "free", 5 * GIB))
    context = SimpleNamespace(
        memory_manager=SimpleNamespace(deallocations=pending),
        get_memory_info=lambda: (full.free, 8 * GIB),
    )
    full.current_context = lambda: context
    assert memory.free_bytes() == 5 * GIB


def test_a_copy_is_over_when_it_returns(monkeypatch):
    """The engine's streams do not wait for the default one, which copies."""
    events: list[str] = []
    default = SimpleNamespace(synchronize=lambda: events.append("over"))
    to = SimpleNamespace(copy_to_device=lambda array: events.append(f"copy of {array.size}"))
    cuda = SimpleNamespace(device_array=lambda *given: to, default_stream=lambda: default)
    monkeypatch.setattr(memory, "cuda", cuda)
    memory.to_device(np.zeros(3), "x")
    memory.to_device(np.zeros(0), "x")
    assert events == ["copy of 3", "over", "copy of 1", "over"]


class Stream:
    def __init__(self, handle: int):
        self.handle = handle


def test_a_stream_waits_for_no_other_and_goes_with_its_last_user(monkeypatch):
    gone: list[object] = []
    driver = SimpleNamespace(
        CUstream_flags=SimpleNamespace(CU_STREAM_NON_BLOCKING="non-blocking"),
        cuStreamCreate=lambda flag: (0, 7) if flag == "non-blocking" else (1, None),
        cuStreamDestroy="destroy",
    )
    context = SimpleNamespace(
        deallocations=SimpleNamespace(add_item=lambda *given: gone.append(given))
    )
    cuda = SimpleNamespace(external_stream=Stream, current_context=lambda: context)
    monkeypatch.setattr(bindings, "driver", driver)
    monkeypatch.setattr(streams, "cuda", cuda)
    made = streams.new_stream()
    assert made.handle == 7
    del made
    gc.collect()
    assert gone == [("destroy", 7)]
    driver.cuStreamCreate = lambda flag: (2, None)
    with pytest.raises(RuntimeError, match="no further stream: 2"):
        streams.new_stream()

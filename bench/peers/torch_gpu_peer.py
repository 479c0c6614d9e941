"""PyTorch on a GPU as a competitor: eager, as a CUDA graph, compiled; NCHW and channels-last.

Variants whose names end in "tf32" have TF32 switched on, for convolutions and matrix products.
FASTCNN_RACE_DEVICE=cpu lets what can run without a GPU run there, which tests of the race need.
"""

from __future__ import annotations

import time

STARTED = time.perf_counter()

import os  # noqa: E402
import platform  # noqa: E402
from collections.abc import Callable  # noqa: E402
from math import ceil  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402
import protocol  # noqa: E402
import torch  # noqa: E402
import torch_gpu_nets  # noqa: E402
from torch_peer import training_step  # noqa: E402

DEVICE = os.environ.get("FASTCNN_RACE_DEVICE", "cuda")
WAYS = ("eager", "graph", "compile") if DEVICE == "cuda" else ("eager",)
VARIANTS = [
    f"{way}{layout}{precision}"
    for precision in ("", " tf32")
    for way in WAYS
    for layout in ("", " channels-last")
]
STRETCH = 5e-3  # seconds that steps follow each other without a look at the result, about
MOST = 50  # such steps


class Steps:
    """A step that is `repeats` of them, which end together: who trains waits for none of them."""

    def __init__(self, step: protocol.Step, tf32: bool):
        self._step = step
        self._tf32 = tf32
        self.repeats = 1
        for _ in range(3):
            self()
        start = time.perf_counter()
        self()
        seconds = time.perf_counter() - start
        self.repeats = max(1, min(MOST, ceil(STRETCH / seconds)))

    def __call__(self) -> None:
        set_tf32(self._tf32)
        for _ in range(self.repeats):
            self._step()
        synchronize()


def set_tf32(on: bool) -> None:
    """Switch TF32 on or off for what is launched from now on."""
    torch.backends.cudnn.allow_tf32 = on
    torch.backends.cuda.matmul.allow_tf32 = on


def synchronize() -> None:
    """Wait until all that was launched is done."""
    if DEVICE == "cuda":
        torch.cuda.synchronize()


def inference(net: torch.nn.Module, x: torch.Tensor, compiled: bool) -> protocol.Step:
    """Class probabilities of a batch."""
    net = torch.nn.Sequential(net, torch.nn.Softmax(dim=1)).eval()
    probabilities: Any = torch.compile(net, dynamic=False) if compiled else net

    def step() -> None:
        with torch.inference_mode():
            probabilities(x)

    return step


def recorded(step: protocol.Step) -> Callable[[], None]:
    """Return the replay of a step's kernels as one CUDA graph, after the steps that it asks for."""
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


class Torch:
    """See protocol.Competitor."""

    def __init__(self) -> None:
        if DEVICE == "cuda" and not torch.cuda.is_available():
            raise RuntimeError("PyTorch finds no GPU.")
        torch.manual_seed(0)
        torch.set_num_threads(int(os.environ["FASTCNN_RACE_THREADS"]))
        # cuDNN times its algorithms once for each shape, and takes the fastest.
        torch.backends.cudnn.benchmark = True

    def describe(self) -> dict[str, Any]:
        versions = {"python": platform.python_version(), "torch": torch.__version__}
        versions["cuDNN"] = str(torch.backends.cudnn.version())
        return {"versions": versions, "variants": {"train": VARIANTS, "infer": VARIANTS}}

    def step(self, task: protocol.Task) -> protocol.Step:
        set_tf32(task.variant.endswith("tf32"))
        net = torch_gpu_nets.NETS[task.net]().to(DEVICE)
        x, y = _images(task.net, task.batch), _labels(task.batch)
        if "channels-last" in task.variant:
            net = net.to(memory_format=torch.channels_last)
            x = x.contiguous(memory_format=torch.channels_last)
        compiled = task.variant.startswith("compile")
        if compiled:
            torch.compiler.reset()
        if task.mode == "train":
            step = training_step(net, x, y, compiled)
        else:
            step = inference(net, x, compiled)
        if task.variant.startswith("graph"):
            step = recorded(step)
        return Steps(step, task.variant.endswith("tf32"))


def _images(net: str, batch: int) -> torch.Tensor:
    """The race's images, NCHW."""
    pixels = np.random.default_rng(0).random((batch, *torch_gpu_nets.SHAPES[net]), dtype=np.float32)
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))).to(DEVICE)


def _labels(batch: int) -> torch.Tensor:
    """The race's labels."""
    return torch.from_numpy(np.random.default_rng(1).integers(0, 10, batch)).to(DEVICE)


if __name__ == "__main__":
    protocol.main(Torch, STARTED)

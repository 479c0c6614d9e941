"""PyTorch as a competitor: eager in both layouts, and compiled in both layouts."""

from __future__ import annotations

import time

STARTED = time.perf_counter()

import os  # noqa: E402
import platform  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402
import protocol  # noqa: E402
import torch  # noqa: E402
import torch_nets  # noqa: E402
from torch.nn import functional  # noqa: E402

VARIANTS = ("eager", "eager channels-last", "compile", "compile channels-last")


def images(net: str, batch: int) -> torch.Tensor:
    """The race's images, NCHW, or features."""
    shape = (batch, *torch_nets.SHAPES[net])
    pixels = np.random.default_rng(0).random(shape, dtype=np.float32)
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(pixels, -1, 1)))


def labels(batch: int) -> torch.Tensor:
    """The race's labels."""
    return torch.from_numpy(np.random.default_rng(1).integers(0, 10, batch))


def training_step(
    net: torch.nn.Module, x: torch.Tensor, y: torch.Tensor, compiled: bool
) -> protocol.Step:
    """Forward, loss, backward and SGD with momentum, in PyTorch's fused form."""
    net.train()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, fused=True)

    def objective(images: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
        return functional.cross_entropy(net(images), classes)

    loss_of = torch.compile(objective, dynamic=False) if compiled else objective

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        loss_of(x, y).backward()
        optimizer.step()

    return step


def inference(net: torch.nn.Module, x: torch.Tensor, compiled: bool) -> protocol.Step:
    """Class probabilities of a batch, under inference_mode."""
    net = torch.nn.Sequential(net, torch.nn.Softmax(dim=1)).eval()
    probabilities: Any = torch.compile(net, dynamic=False) if compiled else net
    # A frozen graph, whose weights are constants laid out for its kernels, needs no_grad.
    guard = torch.no_grad if compiled else torch.inference_mode

    def step() -> None:
        with guard():
            probabilities(x)

    return step


class Torch:
    """See protocol.Competitor."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        torch.set_num_threads(int(os.environ["FASTCNN_RACE_THREADS"]))

    def describe(self) -> dict[str, Any]:
        versions = {"python": platform.python_version(), "torch": torch.__version__}
        weights = {
            name: sum(parameter.numel() for parameter in net().parameters())
            for name, net in torch_nets.NETS.items()
        }
        variants = {"train": VARIANTS, "infer": VARIANTS}
        return {"versions": versions, "variants": variants, "weights": weights}

    def step(self, task: protocol.Task) -> protocol.Step:
        net = torch_nets.NETS[task.net]()
        x = images(task.net, task.batch)
        if task.variant.endswith("channels-last"):
            net = net.to(memory_format=torch.channels_last)
            x = x.contiguous(memory_format=torch.channels_last)
        compiled = task.variant.startswith("compile")
        if compiled:
            import torch._inductor.config as inductor

            torch.compiler.reset()
            inductor.freezing = task.mode == "infer"
        if task.mode == "train":
            return training_step(net, x, labels(task.batch), compiled)
        return inference(net, x, compiled)


if __name__ == "__main__":
    protocol.main(Torch, STARTED)

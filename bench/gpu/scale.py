"""How much a run does: all of it, a quick look, or as little as the simulator bears."""

from __future__ import annotations

from typing import NamedTuple

NETS = ("lenet5", "cifar-small", "vgg16", "resnet20", "caffe-lenet")
BATCHES = (128, 32)
VGG_BATCH = 64
PRECISIONS = ("float32", "tf32")
TINY_NET = "tiny"


class Scale(NamedTuple):
    """What a run does. `problems` and `layers` are names of gpu/cases.py."""

    tiny: bool = False
    nets: tuple[str, ...] = NETS
    modes: tuple[str, ...] = ("train", "infer")
    batches: tuple[int, ...] = BATCHES
    precisions: tuple[str, ...] = PRECISIONS
    timed: tuple[str, ...] = PRECISIONS
    rounds: int = 5
    seconds: float = 0.1  # of a competitor in a round
    compiled: bool = True  # whether torch.compile races
    sets: tuple[str, ...] = ("vgg16", "resnet34")
    batch: int = 32  # of the sets
    repeat: int = 3  # rounds of a convolution
    steps: int = 100  # of the loss curve
    every_layer: bool = True

    def batches_of(self, net: str) -> tuple[int, ...]:
        return (VGG_BATCH,) if net == "vgg16" else self.batches


FULL = Scale()
QUICK = Scale(
    batches=(128,), rounds=3, compiled=False, sets=("vgg16",), repeat=2, every_layer=False
)
TINY = Scale(
    tiny=True,
    nets=(TINY_NET,),
    batches=(2,),
    timed=("float32",),
    rounds=1,
    seconds=0.0,
    compiled=False,
    sets=("mb2ic2ih3oc2kh2",),
    batch=2,
    repeat=1,
    steps=3,
    every_layer=False,
)

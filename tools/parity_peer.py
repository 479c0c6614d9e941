"""The other side of tools/parity.py: networks of Keras, torchvision and timm, and ONNX Runtime.

It reads tasks from its standard input, a line of JSON each, and answers each with a line. "make"
draws a network's weights, and writes them and its outputs; "take" computes the outputs of what
fastcnn wrote. Images come as fastcnn has them, [N, H, W, C].
"""

from __future__ import annotations

import gc
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

Peer = dict[str, Any]


def make_keras(peer: Peer, folder: Path) -> np.ndarray:
    keras = _keras()
    keras.utils.set_random_seed(0)
    model = getattr(keras.applications, peer["name"])(
        weights=None,
        input_shape=_images(folder).shape[1:],
        classes=peer["classes"],
        classifier_activation=None,
    )
    draw = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            for variable in layer.variables:
                low, high = (0.5, 1.5) if variable.name in POSITIVE else (-0.2, 0.2)
                variable.assign(draw.uniform(low, high, variable.shape))
    model.save(folder / "model.keras")
    model.save(folder / "model.h5")  # the layout of the files that Keras publishes
    return np.asarray(model.predict(_images(folder), verbose=0))


def take_keras(peer: Peer, folder: Path) -> np.ndarray:
    model = _keras().models.load_model(folder / "taken.keras")
    (folder / "taken.keras").unlink()
    model.save(folder / "resaved.keras")
    return np.asarray(model.predict(_images(folder), verbose=0))


POSITIVE = ("gamma", "moving_variance")


def _keras() -> Any:
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras

    return keras


def make_torch(peer: Peer, folder: Path) -> np.ndarray:
    from safetensors.numpy import save_file

    network = _network(peer)
    state = {name: value.numpy() for name, value in network.state_dict().items()}
    save_file(state, folder / "sorted.safetensors")
    np.savez(folder / "ordered.npz", **state)
    return _scores(network, folder)


def take_torch(peer: Peer, folder: Path) -> np.ndarray:
    import torch

    network = _network(peer)
    with np.load(folder / "taken.npz") as arrays:
        state = {name: torch.from_numpy(array) for name, array in arrays.items()}
    network.load_state_dict(state, strict=True)
    return _scores(network, folder)


def _network(peer: Peer) -> Any:
    import torch

    torch.manual_seed(0)
    if peer["library"] == "timm":
        import timm

        network = timm.create_model(peer["name"], num_classes=peer["classes"], **peer["arguments"])
    else:
        import torchvision

        build = getattr(torchvision.models, peer["name"])
        network = build(num_classes=peer["classes"], **peer["arguments"])
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            with torch.no_grad():
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(0, 0.1)
            module.eps = peer["epsilon"] or module.eps
    return network.eval()


def _scores(network: Any, folder: Path) -> np.ndarray:
    import torch

    images = torch.from_numpy(_images(folder).transpose(0, 3, 1, 2).copy())
    with torch.no_grad():
        return np.asarray(network(images).numpy())


def take_onnx(peer: Peer, folder: Path) -> np.ndarray:
    """A peer's name is the order in which the file has images."""
    import onnxruntime

    session = onnxruntime.InferenceSession(folder / "taken.onnx")
    images = _images(folder)
    x = images.transpose(0, 3, 1, 2) if peer["name"] == "NCHW" else images
    (y,) = session.run(None, {session.get_inputs()[0].name: x})
    return np.asarray(y)


def _images(folder: Path) -> np.ndarray:
    with np.load(folder / "images.npz") as batch:
        x: np.ndarray = batch["x"]
    return x


TASKS = {
    ("make", "keras"): make_keras,
    ("take", "keras"): take_keras,
    **{("make", library): make_torch for library in ("torchvision", "timm")},
    **{("take", library): take_torch for library in ("torchvision", "timm")},
    ("take", "onnxruntime"): take_onnx,
}


def main() -> None:
    """Do tasks until there are no more."""
    answers, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        peer = json.loads(line)
        folder = Path(peer["folder"])
        outputs = TASKS[peer["task"], peer["library"]](peer, folder)
        np.savez(folder / "outputs.npz", y=outputs)
        gc.collect()
        print("done", file=answers, flush=True)


if __name__ == "__main__":
    main()

"""What fit says before it begins: of the strategies it takes, and of what it keeps."""

from __future__ import annotations

from fastcnn import strategies
from fastcnn.training import progress
from fastcnn.training.epoch_iterator import ArrayEpochs
from fastcnn.training.feature_cache import bytes_an_image
from fastcnn.training.model_settings import ModelSettings
from fastcnn.training.steps_per_epoch import Epochs
from fastcnn.utils.aligned_memory import bytes_text


def tell_measured(
    model: strategies.ProgramMaker, images: int, error_bound: float, verbose: str | int
) -> None:
    """Say how many strategies are others than on a machine where nothing was measured."""
    chosen = strategies.training_choices(model, images)
    others = strategies.beside_estimate(chosen, images, error_bound)
    if others:
        progress.make(verbose).note(
            f"Strategies: {len(others)} of {len(chosen)} are not the estimated ones, but the "
            "fastest measured on this machine. summary() shows them, pin_strategies() keeps them."
        )


def tell_kept(model: ModelSettings, train: Epochs, verbose: str | int) -> None:
    """Say what is computed once for each image, as nothing in it is trained, or why it is not."""
    depth = model.frozen_depth()
    if not depth or not isinstance(train, ArrayEpochs) or train.feature_memory is None:
        return
    free, size = train.feature_memory.free, train.count * bytes_an_image(model, depth)
    if train.kept_features(model) is not None:
        does = f"computed once, and kept until the training ends ({bytes_text(size)})"
    else:
        does = (
            f"computed anew in each epoch: it takes {bytes_text(size)}, and at most a quarter of "
            f"the free memory, {bytes_text(free)}, is given to it"
        )
    last = model.layers[depth - 1].name
    progress.make(verbose).note(
        f"Layers up to '{last}' are frozen: what they make of an image is {does}."
    )

"""A model's methods that several processes may run together, and how they begin and end."""

from __future__ import annotations

import contextlib
import functools
import inspect
import json
import signal
import warnings
import zlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from fastcnn.backends.step import NonFiniteError
from fastcnn.callbacks.callback import Callback
from fastcnn.data.dataset import Dataset, is_dataset
from fastcnn.distributed import agreement, ending, launch
from fastcnn.distributed.ranks import Ranks, part_of
from fastcnn.kernels.cpu.simd.pairwise_sum import MOST_SUMMED
from fastcnn.kernels.cpu.simd.vector_unit import LANES
from fastcnn.layers.normalization import BatchNormalization
from fastcnn.strategies import timing_cache
from fastcnn.training.epoch_iterator import ArrayEpochs
from fastcnn.training.steps_per_epoch import Stepped
from fastcnn.utils import messages, naming, user_code
from fastcnn.utils.interrupt import Interrupt

if TYPE_CHECKING:
    from fastcnn.training.model_settings import ModelSettings

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
SAMPLED = 16
"""Images of a Dataset that ranks compare; of arrays all are."""


def together(usual: str | None) -> Callable[[Callable[Arguments, Result]], Any]:
    """Let a model's method be run by the ranks that its argument `distributed` names, `usual` where
    it is not given. Within it, other such methods are run by each rank for itself."""

    def decorate(method: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
        place = list(inspect.signature(method).parameters).index("distributed")

        @functools.wraps(method)
        def run(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
            model: ModelSettings = cast("ModelSettings", args[0])
            within = model.session is not None
            asked = args[place] if len(args) > place else kwargs.get("distributed", usual)
            choice = None if within else asked
            if usual is not None and choice is None and not within:
                ending.work_apart()
            ranks = launch.joined(choice, method.__name__)
            if ranks is None and not within:
                return method(*args, **kwargs)
            with Session(model, ranks):
                return method(*args, **kwargs)

        return run

    return decorate


class Session:
    """The time in which ranks run a method of a model together, or, within that, one by itself."""

    def __init__(self, model: ModelSettings, ranks: Ranks | None):
        self.ranks = ranks
        self.agreed = False
        self._model = model
        self._silence = contextlib.ExitStack()

    def __enter__(self) -> None:
        self._outer = self._model.change_session(self)
        if self.ranks is not None and self.ranks.rank > 0:
            self._silence.enter_context(warnings.catch_warnings())  # rank 0 tells
            self._silence.enter_context(messages.silenced())
            warnings.simplefilter("ignore")

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._model.change_session(self._outer)
        if self.ranks is None:
            return
        self._silence.close()
        if error is None or isinstance(error, NonFiniteError | agreement.Disagreement):
            return  # which all ranks have
        if self.agreed:
            ending.end_all(error)
        else:
            agreement.tell_error(self.ranks, error)


def agree(
    model: ModelSettings,
    train: object,
    validation: object,
    settings: object,
    callbacks: Sequence[Callback] = (),
) -> None:
    """Compare with the other ranks what all must have in common; nothing where there are none.

    Raises:
        ValueError: The data cannot be shared among ranks.
        Disagreement: Something differs, or a rank had an error.
    """
    session = model.session
    if session is None or session.ranks is None:
        return
    _check_shared_batches(model, session.ranks, trains=train is not None)
    items = {
        **_digests(train, ""),
        **_digests(validation, " to validate on"),
        "callbacks": agreement.digest([_described(c) for c in callbacks if not c.writes_files]),
    }
    _agree(model, session.ranks, items, settings)


def agree_on_images(model: ModelSettings, images: object, settings: object) -> None:
    """Compare with the other ranks the model, images to predict and settings, as `agree` does."""
    session = model.session
    if session is None or session.ranks is None:
        return
    has_digest = isinstance(images, np.ndarray) or is_dataset(images)
    items = {"images": _images(cast("Dataset", images)) if has_digest else ""}
    _agree(model, session.ranks, items, settings)


def _check_shared_batches(model: ModelSettings, ranks: Ranks, trains: bool) -> None:
    if model.device != "cpu":
        if trains:
            _check_own_statistics(model)
        return
    if ranks.size > MOST_SUMMED:
        raise ValueError(
            f"A batch is cut into {MOST_SUMMED} parts at most, of which each rank needs one. "
            f"Received {ranks.size} ranks: start fewer, with more threads each."
        )


def _check_own_statistics(model: ModelSettings) -> None:
    for layer in model.layers.every:
        if isinstance(layer, BatchNormalization) and layer.trainable and layer.synchronized:
            raise ValueError(
                "fit: ranks on GPUs cannot share the statistics of a batch so far, only the mean "
                f"of what each moves by its own images. Received '{layer.path}' with "
                "synchronized=True: make it with BatchNormalization(synchronized=False), or "
                "call model.to('cpu')."
            )


def _agree(model: ModelSettings, ranks: Ranks, data: dict[str, str], settings: object) -> None:
    state = model.state
    weights = agreement.digest(state.values, state.moving, state.slots, state.step, model.epoch)
    items = {
        "version of fastcnn": agreement.code_digest(),
        "versions of NumPy, Numba and llvmlite": agreement.library_digest(),
        "width of vectors (the same kind of processor)": str(LANES),
        "code of classes of your own": agreement.source_digest(_own_classes(model)),
        "device": f"{model.device}, {model.precision}",
        "model": agreement.digest(json.dumps(model.get_config(), default=repr)),
        "weights": weights,
        "optimizer, loss and metrics": agreement.digest(
            naming.serialize(model.optimizer) if model.optimizer else None,
            naming.serialize(model.loss),
            [metric.name for metric in model.metrics],
        ),
        "arguments": agreement.digest(settings, model.seed),
        **data,
    }
    agreement.agree(ranks, items)
    session = model.session
    if session is not None:
        session.agreed = True
    _go_by_times_of_first(model, ranks)


def _own_classes(model: ModelSettings) -> list[type]:
    """Return the classes of a user's own that a model computes with."""
    layers = model.layers.every
    pieces = (*layers, model.loss, model.optimizer, *model.metrics)
    return [type(p) for p in pieces if p is not None and not user_code.is_ours(type(p))]


def _go_by_times_of_first(model: ModelSettings, ranks: Ranks) -> None:
    """Let all ranks choose strategies by the times that were measured on rank 0's computer."""
    times = ranks.gather(timing_cache.current_entries() if ranks.rank == 0 else {})[0]
    if timing_cache.go_by(times):
        model.plan_anew()


def check_same_weights(model: ModelSettings) -> None:
    """RuntimeError where the weights of ranks that train together are no longer the same."""
    if model.ranks is None:
        return
    own = zlib.crc32(model.state.values.view(np.uint8).data)
    others = [rank for rank, sum_ in enumerate(model.ranks.gather(own)) if sum_ != own]
    if others:
        raise RuntimeError(
            f"The weights of rank {model.ranks.rank} are no longer those of rank {others[0]}. A "
            "callback that changes the training must do so on all ranks, and a layer of your own "
            "compute the same on all of them."
        )


def _digests(epochs: object, which: str) -> dict[str, str]:
    """Return the digests of what an epoch is made of, by names that end in `which`."""
    whole = epochs.whole if isinstance(epochs, Stepped) else epochs
    if not isinstance(whole, ArrayEpochs):  # an iterable's batches are compared as they come
        return {f"images and labels{which}": type(whole).__name__}
    examples = whole.examples
    data = _images(examples.x), examples.y, whole.indices, whole.classes
    return {
        f"images and labels{which}": agreement.digest(*data),
        f"weights of images{which}": agreement.digest(examples.weight),
        f"augmentation of images{which}": agreement.digest(whole.transform),
    }


def _described(callback: Callback) -> object:
    """Return a callback's name and, of fastcnn's own, its plain settings."""
    kind = type(callback)
    plain = {
        name: value
        for name, value in vars(callback).items()
        if isinstance(value, bool | int | float | str | None)
    }
    return kind.__qualname__, plain if kind.__module__.startswith("fastcnn.") else None


def _images(x: np.ndarray | Dataset) -> str:
    if isinstance(x, np.ndarray):
        return agreement.digest(x)
    names = [getattr(x, name, None) for name in ("class_names", "names")]
    numbers = np.unique(np.linspace(0, len(x) - 1, SAMPLED).astype(np.int64))
    shape = tuple(getattr(x, "image_shape", ()))
    if not shape:
        return agreement.digest(len(x), *map(repr, names))
    out = np.zeros((len(numbers), *shape), getattr(x, "dtype", np.float32))
    x.images(numbers, out)
    return agreement.digest(len(x), *map(repr, names), out)


def own_part(model: ModelSettings, images: int, batch_size: int) -> tuple[int, int]:
    """Return which of so many images this rank predicts, (first, end): whole batches, so that they
    go through the network as they would by one process."""
    ranks = model.ranks
    if ranks is None:
        return 0, images
    first, end = part_of(-(-images // batch_size), ranks.rank, ranks.size)
    return min(images, first * batch_size), min(images, end * batch_size)


def is_turn(model: ModelSettings, number: int) -> bool:
    """Say whether the batch of a number is this rank's, where they take turns."""
    return model.ranks is None or number % model.ranks.size == model.ranks.rank


def gathered(model: ModelSettings, outputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the outputs of all ranks' parts, [n, ...], to all of them."""
    return outputs if model.ranks is None else np.concatenate(model.ranks.gather(outputs))


class SharedInterrupt(Interrupt):
    """Ctrl-C and SIGTERM on any rank, as a wish that all hear of at the same step."""

    USUAL = {**Interrupt.USUAL, signal.SIGTERM: signal.SIG_DFL}  # noqa: RUF012

    def __init__(self, ranks: Ranks):
        super().__init__()
        self._ranks = ranks
        self._agreed = False

    @property
    def requested(self) -> bool:
        return self._agreed

    def agree(self) -> None:
        self._agreed = self._agreed or self._ranks.any(self._wished)

    def on_any(self, flag: bool) -> bool:
        return self._ranks.any(flag)


def interrupt_of(model: ModelSettings) -> Interrupt:
    """Return what tells a training that it is to end."""
    return Interrupt() if model.ranks is None else SharedInterrupt(model.ranks)


def check_arguments(model: ModelSettings, tune: object, adversarial: object) -> None:
    """ValueError where fit's arguments ask of ranks what one process alone can do."""
    if model.session is None or model.session.ranks is None:
        return
    if tune:
        raise ValueError(
            "fit: strategies are timed by one process, and those of ranks would differ. Call "
            "fastcnn.tune before, or give tune=False. Received tune=True beside other ranks."
        )
    if adversarial is not None:
        raise ValueError(
            "fit: images are attacked by one process alone so far. Give adversarial=None, or "
            "distributed=None. Received adversarial beside other ranks."
        )


def called_here(model: ModelSettings, callbacks: Sequence[Callback]) -> list[Callback]:
    """Return the callbacks that this rank calls: those that write files are rank 0's."""
    return [callback for callback in callbacks if _is_first(model) or not callback.writes_files]


def verbosity(model: ModelSettings, verbose: str | int) -> str | int:
    """Return what a rank shows: rank 0 what was asked for, the others nothing."""
    return verbose if _is_first(model) else 0


def _is_first(model: ModelSettings) -> bool:
    ranks = None if model.session is None else model.session.ranks
    return ranks is None or ranks.rank == 0

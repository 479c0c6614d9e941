"""The CUDA engine: each program a row of launches on one stream, everything resident on the GPU.

A step copies its images (or their numbers, where the data set lies on the device), runs, and
copies back what the host reads; the driver repeats all of it as one graph.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from fastcnn.engines.batch import Selection
from fastcnn.engines.engine import (
    NO_RANKS,
    PREDICT,
    TRAIN,
    Engine,
    Planned,
    outside_of,
    results_of,
)
from fastcnn.engines.flat_update import append_flat_update
from fastcnn.engines.graph import Replay
from fastcnn.engines.launches import MOST_SIZES, Launches
from fastcnn.engines.lowering import Lowering
from fastcnn.engines.outbox import Outbox, Parcel
from fastcnn.engines.residence import Images, Residence
from fastcnn.kernels.call import Calls
from fastcnn.kernels.cuda.device import cuda
from fastcnn.kernels.rooms import kernels_of
from fastcnn.program import Buffer, Program

if TYPE_CHECKING:
    from fastcnn.model import Sequential


class _Mirror:
    """An array on the device and its likeness in pinned host memory, which copies go through."""

    def __init__(self, shape: tuple[int, ...], dtype: Any, device: Any = None):
        self.host = cuda.pinned_array(shape, dtype)
        self.device = cuda.device_array(shape, dtype) if device is None else device

    def give(self, array: np.ndarray) -> None:
        """Write to the beginning of the host's side, whatever the array's shape."""
        self.host[: array.size].reshape(array.shape)[...] = array

    def upload(self, length: int, stream: Any) -> None:
        self.device[:length].copy_to_device(self.host[:length], stream)

    def download(self, length: int, stream: Any) -> None:
        self.device[:length].copy_to_host(self.host[:length], stream)


class _Planned(Planned):
    """A program's launches, what goes in before them and what comes out after them."""

    def __init__(
        self,
        low: Lowering,
        roles: dict[str, Buffer],
        capacity: int,
        engine: CudaEngine,
        tables: dict[str, np.ndarray],
        has_classes: bool,
    ):
        self.capacity = capacity
        self._engine = engine
        self._tables = {
            # Where there is nothing to train, one number that nothing reads.
            name: cuda.to_device(table if len(table) else np.zeros(1, table.dtype))
            for name, table in tables.items()
        }
        self._inputs = self._make_inputs(low, roles)
        constants = np.array(low.constants or [0.0], np.float32)
        arrays = {
            **{name: mirror.device for name, mirror in self._inputs.items()},
            **self._tables,
            "constants": cuda.to_device(constants),
            **engine.arrays(),
        }
        self.launches = Launches(low.calls.made, capacity, arrays)
        self._outputs = self._make_outputs(low, roles, has_classes)
        self._replays: dict[int, Replay] = {}  # by the number of images
        if "scores" in roles:
            self.absorbed = roles["scores"] != roles["output"]
            self.scores, self.loss = self._outputs["scores"].host, self._outputs["loss"].host
            self.rank = self._outputs["rank"].host if has_classes else NO_RANKS
        else:
            self.outputs = self._outputs["output"].host

    def _make_inputs(self, low: Lowering, roles: dict[str, Buffer]) -> dict[str, _Mirror]:
        size = self.capacity
        made = {"x": _Mirror((size * low.program.input.size,), np.float32)}
        if "target" in roles:
            target = roles["target"]
            made["target"] = _Mirror((size * target.size,), target.dtype)
            made["weight"] = _Mirror((size,), np.float32)
        if low.program.training:
            made["random"] = _Mirror((2,), np.int64)
            made["control"] = _Mirror((1,), np.int64)
            made["hyper"] = _Mirror((8,), np.float32)
        made["indices"] = _Mirror((size,), np.int32)
        return made

    def _make_outputs(
        self, low: Lowering, roles: dict[str, Buffer], has_classes: bool
    ) -> dict[str, _Mirror]:
        wanted = ["scores", "loss", *(["rank"] if has_classes else [])]
        made: dict[str, _Mirror] = {}
        for role in wanted if "scores" in roles else ["output"]:
            buffer = roles[role]
            device = self.launches.view(low.region(buffer), buffer.shape, buffer.dtype)
            made[role] = _Mirror(device.shape, buffer.dtype, device)
        for name in ("factors", "totals"):
            if name in self._tables:
                device = self._tables[name]
                made[name] = _Mirror(device.shape, device.dtype, device)
        return made

    def run(self, x: Any, **given: np.ndarray) -> None:
        images = len(x)
        cuda.current_context()  # from now on this thread's
        if len(self._replays) >= MOST_SIZES and images not in self._replays:
            self._replays.pop(next(iter(self._replays)))
        self._engine.residence.settle()
        if "control" in given:
            self._engine.residence.remember_moving(self._engine.stream)
        self._give_images(x)
        for name, array in given.items():
            self._inputs[name].give(array)
        if images not in self._replays:
            names = [*given]
            self._replays[images] = Replay(
                self._engine.stream, lambda: self._enqueue(images, names)
            )
        self._replays[images].run()
        self._engine.stream.synchronize()
        if isinstance(x, Parcel):
            self._engine.outbox.take_back(x.room)

    def _give_images(self, x: Any) -> None:
        """Bring the images where the first launch reads them."""
        stream, there = self._engine.stream, self._inputs["x"]
        if isinstance(x, Selection):
            numbers = self._inputs["indices"]
            numbers.give(x.indices)
            numbers.upload(len(x), stream)
            self._engine.resident(x).gather(numbers.device, len(x), there.device, stream)
        elif isinstance(x, Parcel):
            x.room.sent.wait(stream)
            there.device[: x.size].copy_to_device(x.room.device[: x.size], stream)
        else:
            there.give(np.asarray(x))
            there.upload(x.size, stream)

    def _enqueue(self, images: int, names: list[str]) -> None:
        """Put a run on the stream: what is given to it, its launches, what is read of it."""
        stream = self._engine.stream
        for name in names:
            mirror = self._inputs[name]
            per_image = name in ("target", "weight")
            length = len(mirror.host) // self.capacity * images if per_image else len(mirror.host)
            mirror.upload(length, stream)
        self.launches.launch(images, stream)
        for name, mirror in self._outputs.items():
            length = len(mirror.host) if name in ("factors", "totals") else images
            mirror.download(length, stream)

    @property
    def finite(self) -> bool:
        return bool(self._outputs["factors"].host[-1] == 1)

    @property
    def penalty(self) -> float:
        return float(self._outputs["totals"].host[1])


class CudaEngine(Engine):
    """Runs a model's programs on the GPU."""

    SINGLE = False

    def __init__(self, model: Sequential):
        super().__init__(model)
        self.stream = cuda.stream()
        self.residence = Residence(model.state)
        self._gradients: Any = None
        self._images: list[Images] = []
        self.outbox = Outbox()

    def arrays(self) -> dict[str, Any]:
        """Return the model's flat arrays on the device, by the names of their regions."""
        made = {"values": self.residence.values, "moving": self.residence.moving}
        if self._gradients is not None:
            made |= {"gradients": self._gradients, "slots": self.residence.slots}
        return made

    def hold(self, images: np.ndarray, anew: bool) -> bool:
        """Keep a data set's images on the device, if they fit beside the model; say whether.

        images: uint8 or float32 [N, H, W, C]. A batch of them may then come as a `Selection`.
        `anew` says that they may have changed since they were last held.
        """
        self._images = [
            one
            for one in self._images
            if one.source is not None and not (anew and one.source is images)
        ]
        if not any(one.source is images for one in self._images):
            free, _ = cuda.current_context().get_memory_info()
            if images.nbytes > free // 4 or images.dtype.name not in Images.DTYPES:
                return False
            self._images.append(Images(images))
        return True

    def sender(self) -> Callable[[np.ndarray], Any]:
        """Return what puts a prepared batch on its way to the device."""
        return self.outbox.send

    def resident(self, x: Selection) -> Images:
        """Return the images that a selection is of, on the device."""
        return next(one for one in self._images if one.source is x.images)

    def outputs_of(self, x: Any, path: str) -> np.ndarray:
        """Return what the layer at a path makes of x at inference, float32[n, ...]."""
        program = self._model.program(False, fused=False, until=path, images=len(x))
        with self._lock:
            low = self._lower(program, {program.output}, {}, len(x))
            planned = _Planned(low, {"output": program.output}, len(x), self, {}, False)
            planned.run(np.asarray(x))
            return planned.outputs.copy()

    def _flat_gradients(self) -> np.ndarray:
        found: np.ndarray = self._gradients.copy_to_host()
        return found[: len(self._model.state.values)]

    def _take_step(self, planned: Planned, x: Any, given: dict[str, np.ndarray]) -> None:
        planned.run(x, **given)
        if given["control"][0] and planned.finite:
            self.residence.stepped()
        else:
            self.residence.restore_moving(self.stream)

    def _build(self, kind: str, capacity: int) -> Planned:
        model = self._model
        program, roles = model.program_and_roles(kind, capacity)
        low = self._lower(program, {roles[name] for name in results_of(kind)}, roles, capacity)
        tables: dict[str, np.ndarray] = {}
        if kind == TRAIN:
            if self._gradients is None:
                self._gradients = cuda.to_device(
                    np.zeros(max(1, len(model.state.values)), np.float32)
                )
                self.residence.add_slots()
            tables = append_flat_update(low, model.optimizer, low.region(roles["loss"]))
        has_classes = kind != PREDICT and model.loss.has_classes
        return _Planned(low, roles, capacity, self, tables, has_classes)

    def _lower(
        self, program: Program, kept: set[Buffer], roles: dict[str, Buffer], images: int
    ) -> Lowering:
        calls = Calls(images, self._model.precision)
        outside = outside_of(program.input, roles)
        return Lowering(program, kernels_of("cuda"), calls, outside, kept)

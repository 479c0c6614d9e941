"""The numbers of a model: flat arrays of weights, moving statistics and optimizer slots."""

from __future__ import annotations

import threading
import weakref
import zlib
from collections.abc import Callable
from copy import copy
from typing import Any, Protocol

import numpy as np

from fastcnn.graph.parameter import Parameter
from fastcnn.utils import forking
from fastcnn.utils.aligned_memory import LINE, vector_zeros
from fastcnn.utils.average_slot import AVERAGE

# Step, weights, moving statistics, slots by name.
Snapshot = tuple[int, np.ndarray, np.ndarray, dict[str, np.ndarray]]

ALIGNMENT = LINE // 4  # floats; each parameter begins on a cache line


class Slots(Protocol):
    """An optimizer, as far as it says what it keeps for every weight."""

    @property
    def state_slots(self) -> tuple[str, ...]: ...

    def new_slots(self, size: int) -> np.ndarray: ...


class State:
    """All weights in one array, all moving statistics in another, the optimizer's slots beside.

    Nothing is allocated before it is used, so that a model's summary costs no memory.
    """

    def __init__(self, parameters: list[Parameter], seed: int):
        self.step = 0
        self._version = 0
        self._lent: list[weakref.ref] = []
        self._parameters = parameters
        self._seed = seed
        self._flat: dict[str, np.ndarray] = {}
        self._slots: np.ndarray | None = None
        self._slot_names: tuple[str, ...] = ()
        self._optimizer: Slots | None = None
        self._averages_in_use: int | None = None  # a checksum of them, while they are the weights
        self._bring_home: Callable[[State], None] | None = None
        self.lock = forking.freed_in_child(
            threading.RLock()
        )  # held while numbers go to another memory or come from it
        self._sizes = {"weight": 0, "moving": 0}
        for parameter in parameters:
            parameter.bind(self, self._sizes[parameter.kind])
            self._sizes[parameter.kind] += -(-parameter.size // ALIGNMENT) * ALIGNMENT

    def __getstate__(self) -> dict[str, Any]:
        """What a copy or a pickle takes along: not who may write to the arrays of this one."""
        self.come_home()
        return {**vars(self), "_lent": [], "lock": None}

    def __setstate__(self, state: dict[str, object]) -> None:
        vars(self).update(state)
        self.lock = forking.freed_in_child(threading.RLock())
        # A copied array lacks the slack that vector loads may read.
        for name, copied in self._flat.items():
            self._flat[name] = vector_zeros(len(copied))
            self._flat[name][...] = copied

    @property
    def drawn(self) -> bool:
        """Whether there are numbers yet: anything has been read or written."""
        return bool(self._flat)

    @property
    def values(self) -> np.ndarray:
        """Weights, float32[P]."""
        return self._initialized("weight")

    @property
    def moving(self) -> np.ndarray:
        """Moving statistics, float32[Q]."""
        return self._initialized("moving")

    @property
    def slots(self) -> np.ndarray:
        """The optimizer's slots, float32[slots, P], as a step was last planned with them."""
        self.come_home()
        return self.fit_slots() if self._slots is None else self._slots

    def fit_slots(self) -> np.ndarray:
        """Return the slots for the optimizer as it is now set: those that it had keep their values,
        others begin at their first ones."""
        if self._optimizer is None:
            raise ValueError("The model has no optimizer yet. Call compile() first.")
        self.come_home()
        optimizer = copy(self._optimizer)  # its settings may change meanwhile
        names = tuple(optimizer.state_slots)
        if self._slots is None or names != self._slot_names:
            previous = self.slots_by_name()
            # Compiled code writes here, so that memory is not left to an optimizer of a user's own.
            weights = self._sizes["weight"]
            length = weights + (self._sizes["moving"] if AVERAGE in names else 0)
            slots = np.zeros((len(names), length), np.float32)
            own = slots[:-1] if AVERAGE in names else slots
            own[:, :weights] = optimizer.new_slots(weights)
            if AVERAGE in names:
                slots[-1] = np.concatenate([self.values, self.moving])
            else:
                self._averages_in_use = None
            for name, values in zip(names, slots, strict=True):
                kept = previous.get(name, values)[:length]
                values[: len(kept)] = kept
            self._slots, self._slot_names = slots, names
            self.changed()
        return self._slots

    @property
    def slot_names(self) -> tuple[str, ...]:
        """The names of the slots that a step finds now, which only `fit_slots` changes."""
        if self._slots is None:
            self.fit_slots()
        return self._slot_names

    def slots_by_name(self) -> dict[str, np.ndarray]:
        """Return the slots that there are, float32[P] each."""
        self.come_home()
        return dict(zip(self._slot_names, () if self._slots is None else self._slots, strict=False))

    def set_slots(self, optimizer: Slots | None) -> None:
        """Begin anew with an optimizer: slots at their first values, no steps done."""
        self.come_home()
        self._optimizer, self._slots, self.step = optimizer, None, 0
        self._slot_names, self._averages_in_use = (), None
        self.changed()

    @property
    def averages_in_use(self) -> bool:
        """Whether the averages are the model's weights now, and the trained ones in their slot."""
        return self._averages_in_use is not None

    def use_averages(self) -> None:
        """Exchange the trained weights and statistics for their averages, if there are any, until
        the next training step."""
        if AVERAGE not in self._slot_names or self.averages_in_use or not self.step:
            return
        averages = self._averages()
        for parameter in self._parameters:
            if not parameter.layer.trainable:  # as they are, whatever they were before
                place = slice(parameter.offset, parameter.offset + parameter.size)
                averages[parameter.kind][place] = self._flat[parameter.kind][place]
        self._exchange()
        self.note_averages_in_use()

    def use_trained(self) -> None:
        """Let the training go on from the trained weights; from others that were set while the
        averages were in use, if there were any."""
        self.keep_set_weights()
        if self.averages_in_use:
            self._exchange()
            self._averages_in_use = None

    def keep_set_weights(self) -> None:
        """Where others were set in place of averages in use, begin the averages with these: they
        are what a training goes on from."""
        if not self.averages_in_use or self._averages_in_use == self._checksum():
            return
        for kind, average in self._averages().items():
            average[...] = self._flat[kind]
        self._averages_in_use = None
        self.changed()

    def note_averages_in_use(self) -> None:
        """Note that the weights are averages, and the slot of these holds the trained ones."""
        self._averages_in_use = self._checksum()

    def _averages(self) -> dict[str, np.ndarray]:
        """Return views of the averages by kind, once all numbers are here."""
        row, weights = self.slots_by_name()[AVERAGE], len(self.values)
        return {"weight": row[:weights], "moving": row[weights:]}

    def _exchange(self) -> None:
        for kind, average in self._averages().items():
            values = self._flat[kind]
            values[...], average[...] = average.copy(), values.copy()
        self.changed()

    def _checksum(self) -> int:
        return zlib.crc32(self.moving.tobytes(), zlib.crc32(self.values.tobytes()))

    def view(self, parameter: Parameter) -> np.ndarray:
        """Return a parameter's values, a view that the caller may write to."""
        flat = self.values if parameter.kind == "weight" else self.moving
        # Everything cut from this array keeps it alive, so it tells how long a caller may write.
        lent = np.frombuffer(flat.data, np.float32, parameter.size, 4 * parameter.offset)
        self._lent.append(weakref.ref(lent))
        self.changed()
        return lent.reshape(parameter.shape)

    def leave(self, bring_home: Callable[[State], None]) -> None:
        """Note that another memory holds newer numbers; `bring_home(state)` copies them here. That
        is a change of them, which counts as one version."""
        self._bring_home = bring_home
        self.changed()

    def come_home(self) -> None:
        """Fetch the numbers from where they are newer, if they are."""
        with self.lock:
            if self._bring_home is not None:
                bring, self._bring_home = self._bring_home, None
                bring(self)

    @property
    def lent(self) -> bool:
        """Whether somebody holds a view of these arrays."""
        return any(lent() is not None for lent in self._lent)

    def changed(self) -> None:
        """Note that the weights are no longer what they were."""
        self._version += 1

    @property
    def version(self) -> int:
        """A number that differs whenever the weights may: what was made of them is then stale."""
        if self._lent:  # also after the last view is gone: it may have been written to until then
            self._lent = [lent for lent in self._lent if lent() is not None]
            self._version += 1
        return self._version

    def snapshot(self) -> Snapshot:
        """Return the step and a copy of weights, moving statistics and slots."""
        slots = {name: values.copy() for name, values in self.slots_by_name().items()}
        return self.step, self.values.copy(), self.moving.copy(), slots

    def restore(self, snapshot: Snapshot) -> None:
        """Set step, weights, moving statistics and slots from a snapshot; slots that it lacks begin
        at their first values."""
        self.step, self.values[...], self.moving[...], slots = snapshot
        self._slots = None
        self.fit_slots()
        for name, values in self.slots_by_name().items():
            values[...] = slots.get(name, values)
        self.changed()

    def _initialized(self, kind: str) -> np.ndarray:
        """Return one of the flat arrays, both made on first use."""
        self.come_home()
        if not self._flat:
            self._flat = {name: vector_zeros(size) for name, size in self._sizes.items()}
            self._draw()
        return self._flat[kind]

    def _draw(self) -> None:
        for parameter in self._parameters:
            # By path, so that a layer's weights do not depend on what stands before it.
            stream = zlib.crc32(parameter.path.encode())
            generator = np.random.default_rng([self._seed, stream])
            self.view(parameter)[...] = parameter.initializer(parameter.shape, generator)

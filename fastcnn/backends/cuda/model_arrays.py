"""A model's numbers on the GPU, which stay there from step to step."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from fastcnn.backends.cuda.memory import DeviceArray, device_array, upload
from fastcnn.backends.cuda.streams import Stream
from fastcnn.utils import forking

if TYPE_CHECKING:
    from fastcnn.graph.state import State


class DeviceState:
    """Weights, moving statistics and optimizer slots, and which side has the newer ones.

    They are copied to the device when they changed on the host, and back when the host asks
    `State` for them after the device changed them: by any thread, but not while a run, which holds
    `busy`, changes them.
    """

    def __init__(self, state: State):
        self._state = state
        self._version: int | None = None
        self.busy = forking.freed_in_child(threading.Lock())
        self.values = _like(state.values, "the weights")
        self.moving = _like(state.moving, "the moving statistics")
        self._moving_count = state.moving.size
        self._moving_before = _like(state.moving, "the moving statistics")
        self._remembered = False  # in the run that is going on
        self.slots: DeviceArray | None = None

    def fit_slots(self) -> None:
        """Make room for the optimizer's slots, float32[slots, P], as they are now."""
        shape = _room(self._state.fit_slots())
        if self.slots is None or self.slots.shape != shape:
            self.slots = None  # its memory goes first
            self.slots = device_array(shape, np.float32, "the optimizer's slots")
            self._version = None

    def settle(self) -> None:
        """Copy to the device what is newer on the host."""
        state = self._state
        with state.lock:
            version = state.version
            if version != self._version:
                _copy(state.values, self.values)
                _copy(state.moving, self.moving)
                _copy(state.moving, self._moving_before)
                # Of another shape, they wait for the training step that is planned anew for them.
                if self.slots is not None and self.slots.shape == _room(state.slots):
                    _copy(state.slots, self.slots)
                self._version = version

    def run(
        self, stream: Stream, work: Callable[[], None], counts: Callable[[], bool] | None = None
    ) -> None:
        """Put `work` on a stream and wait until it is over, also after an error.

        Of a training step `counts()` says then whether it counts. Where it does not, or not all of
        it was put there, the moving statistics are as before it when anybody else reads them.
        """
        queued = over = counted = False
        try:
            with self.busy:
                self._remembered = False
                try:
                    work()
                    queued = True
                    stream.synchronize()
                    over = True
                finally:
                    if not over:  # an interruption comes here too, perhaps while waiting
                        stream.synchronize()
                        over = True
                    if counts is not None:
                        counted = queued and counts()
                        if not counted and (queued or self._remembered):
                            self._restore_moving(stream)
        finally:
            # A part of a step may have changed weights. Where not even waiting is possible, the
            # GPU's numbers are lost, and the host's are the last.
            if counts is not None and over and (counted or not queued):
                self._stepped()

    def _stepped(self) -> None:
        """Note that the device's numbers are newer now; the host fetches them when it asks."""
        self._state.leave(self._fetch)
        if self._version is not None:
            self._version += 1  # what the step changed is here
        if self._state.lent:
            self._state.come_home()  # somebody holds a view that must show them

    def remember_moving(self, stream: Stream) -> None:
        """Keep the moving statistics as they are before a step."""
        self._moving_before.copy_to_device(self.moving, stream)
        self._remembered = True

    def moving_statistics(self) -> np.ndarray:
        """Return a copy of the moving statistics as they are now, float32 [n]."""
        self.settle()
        with self.busy:
            return self.moving.copy_to_host()[: self._moving_count]

    def set_moving(self, moving: np.ndarray) -> None:
        """Have the moving statistics be these from now on."""
        with self.busy:
            _copy(moving, self.moving)
        self._stepped()

    def _restore_moving(self, stream: Stream) -> None:
        """Undo what a step that does not count did to them."""
        self.moving.copy_to_device(self._moving_before, stream)
        stream.synchronize()

    def _fetch(self, state: State) -> None:
        with self.busy:
            _copy_back(self.values, state.values)
            _copy_back(self.moving, state.moving)
            if self.slots is not None and state.slots.size:
                self.slots.copy_to_host(state.slots)
        self._version = state.version


def _like(array: np.ndarray, what: str) -> DeviceArray:
    return device_array(max(1, array.size), np.float32, what)


def _room(slots: np.ndarray) -> tuple[int, ...]:
    return tuple(max(1, extent) for extent in slots.shape)


def _copy(source: np.ndarray, to: DeviceArray) -> None:
    if source.size:
        upload(source, to[: len(source)] if source.ndim == 1 else to)


def _copy_back(source: DeviceArray, to: np.ndarray) -> None:
    if to.size:
        source[: len(to)].copy_to_host(to)

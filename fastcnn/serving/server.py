"""A server that runs until it is told to end, and closes connections that only wait."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from types import FrameType

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol

from fastcnn.serving.limits import Limits

LARGEST_HEADER = 1 << 14
IDLE_SECONDS = 5
"""A connection without a request is kept for so long, for the next one."""


def run(application: Starlette, listener: socket.socket, limits: Limits) -> None:
    """Serve until SIGTERM, or Ctrl-C, which raises KeyboardInterrupt; what was begun is answered.

    Args:
        application: What answers.
        listener: What connections come to.
        limits: What bounds the server.
    """

    class BoundedProtocol(H11Protocol):
        """HTTP in which a connection is closed whose request does not arrive in time."""

        _deadline: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            if len(self.connections) > limits.connections:
                transport.abort()
            else:
                self._wait()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self._is_answering():
                self._stop_waiting()
            elif self._deadline is None:
                self._wait()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_waiting()
            super().connection_lost(exc)

        def _is_answering(self) -> bool:
            return self.cycle is not None and not self.cycle.response_complete

        def _wait(self) -> None:
            self._deadline = self.loop.call_later(limits.seconds, self._give_up)

        def _stop_waiting(self) -> None:
            if self._deadline is not None:
                self._deadline.cancel()
                self._deadline = None

        def _give_up(self) -> None:
            self._deadline = None
            if not self._is_answering():
                self.transport.close()

    config = uvicorn.Config(
        application,
        http=BoundedProtocol,
        ws="none",
        loop="asyncio",
        lifespan="on",
        log_level="error",
        access_log=False,
        server_header=False,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=int(limits.seconds) + 1,
        h11_max_incomplete_event_size=LARGEST_HEADER,
    )
    # It would tell of every body that is no form, which the sender is told.
    logging.getLogger("python_multipart").setLevel(logging.ERROR)
    # When uvicorn has ended it raises the signal anew, which would kill the process.
    before = signal.signal(signal.SIGTERM, _ignore)
    try:
        uvicorn.Server(config).run(sockets=[listener])
    finally:
        signal.signal(signal.SIGTERM, before)


def _ignore(number: int, frame: FrameType | None) -> None:
    """Nothing is left to do."""

"""Bodies of requests, read into bounded memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import ClientDisconnect, Request

from fastcnn.serving.limits import Limits, Refusal, busy


class Intake:
    """Reads bodies; all that are held at once take at most `concurrency` times `max_bytes`.

    Args:
        limits: Of the server.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._free = limits.concurrency * limits.max_bytes

    @asynccontextmanager
    async def body(self, request: Request) -> AsyncIterator[bytes]:
        """Read a request's body, which counts as held until the block ends.

        Args:
            request: The request.

        Yields:
            The body.

        Raises:
            Refusal: It is too large, too slow, or breaks off, or there is no memory for it.
        """
        self._check(int(request.headers.get("content-length", 0)))
        chunks: list[bytes] = []
        try:
            try:
                async with asyncio.timeout(self._limits.seconds):
                    await self._read(request, chunks)
            except TimeoutError:
                seconds = f"{self._limits.seconds:g}"
                raise Refusal(408, f"The picture must arrive within {seconds} s.") from None
            except ClientDisconnect:
                raise Refusal(400, "The connection broke off.") from None
            yield b"".join(chunks)
        finally:
            self._free += sum(map(len, chunks))

    async def _read(self, request: Request, chunks: list[bytes]) -> None:
        size = 0
        async for chunk in request.stream():
            size += len(chunk)
            self._check(size)
            if len(chunk) > self._free:
                raise busy()
            self._free -= len(chunk)
            chunks.append(chunk)

    def _check(self, size: int) -> None:
        if size > self._limits.max_bytes:
            raise Refusal(413, f"A request must have at most {self._limits.max_bytes:,} bytes.")

"""Pictures predicted one after the other, in a thread of their own."""

from __future__ import annotations

import asyncio
import io
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from fastcnn.data.images import file_format
from fastcnn.data.images.decoder import Decoder
from fastcnn.data.images.file_format import Unreadable
from fastcnn.models.predictions import as_plain_data
from fastcnn.models.sequential import Sequential
from fastcnn.serving import form
from fastcnn.serving.limits import Limits, Refusal, busy


class Classifier:
    """Answers for pictures; at most `concurrency` of them wait, the others are refused.

    Args:
        model: The model.
        decoder: What makes images of pictures.
        limits: Of the server.
        top: How many classes a picture.
        scale: What pixel values, 0 to 255, are multiplied by.
    """

    def __init__(
        self, model: Sequential, decoder: Decoder, limits: Limits, top: int, scale: float
    ) -> None:
        self.model = model
        self._decoder = replace(decoder, max_pixels=limits.max_pixels)
        self._limits, self._top, self._scale = limits, top, np.float32(scale)
        self._thread = ThreadPoolExecutor(1, "fastcnn-serving")
        self._places = threading.BoundedSemaphore(limits.concurrency)

    def warm_up(self) -> None:
        """Have all that a prediction needs compiled and loaded."""
        from PIL import Image

        picture = io.BytesIO()
        Image.new("L", (1, 1)).save(picture, "PNG")
        self._thread.submit(self._answer, picture.getvalue(), None).result()

    def close(self) -> None:
        """Take nothing more on, and leave out what waits."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    async def answer(self, body: bytes, boundary: bytes | None) -> dict[str, object]:
        """Return what the model says of a picture.

        Args:
            body: The picture's file, or a form with it.
            boundary: What parts the form, None where it is none.

        Returns:
            "classes" or "values" (see `predictions.as_plain_data`), and "milliseconds", the time
            that decoding and predicting took.

        Raises:
            Refusal: It is no picture, cannot be read, or there are too many before it.
        """
        if not self._places.acquire(blocking=False):
            raise busy()
        job = self._thread.submit(self._answer, body, boundary)
        # The place is free when the thread is done with it, also where nobody waits any more.
        job.add_done_callback(self._leave)
        try:
            return await asyncio.wait_for(asyncio.wrap_future(job), self._limits.seconds)
        except TimeoutError:
            seconds = f"{self._limits.seconds:g}"
            raise Refusal(504, f"The picture was not predicted within {seconds} s.") from None

    def _leave(self, job: Future[dict[str, object]]) -> None:
        self._places.release()

    def _answer(self, body: bytes, boundary: bytes | None) -> dict[str, object]:
        start = time.perf_counter()
        picture = body if boundary is None else form.picture_in(body, boundary)
        answer = self._predicted(self._decoded(picture))
        return {**answer, "milliseconds": round(1000 * (time.perf_counter() - start), 3)}

    def _decoded(self, picture: bytes) -> np.ndarray:
        try:
            return self._decoder.decode_bytes(picture, "picture")
        except Unreadable as error:
            status = 415 if file_format.format_of(picture[:16]) is None else 422
            raise Refusal(status, f"The picture cannot be read: {error.reason}.") from error
        except MemoryError as error:
            raise Refusal(503, "There is not enough memory now for this picture.") from error

    def _predicted(self, image: np.ndarray) -> dict[str, object]:
        pixels = image if self._scale == 1 else image.astype(np.float32) * self._scale
        outputs = self.model.predict(pixels[None])
        try:
            return as_plain_data(outputs, self.model, self._top)[0]
        except ValueError as error:
            raise Refusal(500, str(error)) from error

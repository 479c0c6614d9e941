"""How much a server takes on, and the answer to what is too much."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What bounds a server.

    Args:
        max_bytes: Of a request's body.
        max_pixels: Of a picture, by its header, before it is decoded.
        seconds: For a request to arrive, and again to be answered.
        concurrency: Pictures that wait or are predicted at once.
        connections: That may be open at once.
    """

    max_bytes: int = 10 << 20
    max_pixels: int = 50_000_000
    seconds: float = 10.0
    concurrency: int = 16
    connections: int = 256


class Refusal(Exception):
    """What a request gets in place of a prediction.

    Args:
        status: Of HTTP.
        sentence: Why.
    """

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


def busy() -> Refusal:
    """Return what a request gets where others have taken all there is."""
    return Refusal(503, "The server has as many pictures as it takes on. Try again in a second.")

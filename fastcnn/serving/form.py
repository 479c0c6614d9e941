"""The picture in a form, as browsers and `curl -F` send it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from fastcnn.serving.limits import Refusal

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

KIND = b"multipart/form-data"
MOST_PARTS = 8


def boundary_of(content_type: str) -> bytes | None:
    """Return what parts a form, None where the content is none.

    Args:
        content_type: The request's header.
    """
    kind, options = parse_options_header(content_type)
    return options.get(b"boundary") if kind == KIND else None


def picture_in(body: bytes, boundary: bytes) -> bytes:
    """Return the first file of a form.

    Args:
        body: The form.
        boundary: What parts it.

    Returns:
        The file's content.

    Raises:
        Refusal: It is no form, has no file, or too many parts.
    """
    form = _Form()
    try:
        parser = MultipartParser(boundary, form.callbacks())
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise Refusal(422, "The body must be a form of multipart/form-data. It is not.") from error
    if form.picture is None:
        raise Refusal(422, "The form must hold a file, as `curl -F image=@shoe.png` sends it.")
    return bytes(form.picture)


class _Form:
    """What a parser tells, part by part; only the first file is kept."""

    def __init__(self) -> None:
        self.picture: bytearray | None = None
        self._parts = 0
        self._is_picture = False
        self._field, self._value = b"", b""

    def callbacks(self) -> MultipartCallbacks:
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._add_to_field,
            "on_header_value": self._add_to_value,
            "on_header_end": self._end_header,
            "on_part_data": self._add_data,
        }

    def _begin(self) -> None:
        self._parts += 1
        self._is_picture = False
        if self._parts > MOST_PARTS:
            raise Refusal(422, f"The form must have at most {MOST_PARTS} parts.")

    def _add_to_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _add_to_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        is_file = (
            self._field.lower() == b"content-disposition"
            and b"filename" in parse_options_header(self._value)[1]
        )
        if is_file and self.picture is None:
            self.picture, self._is_picture = bytearray(), True
        self._field, self._value = b"", b""

    def _add_data(self, data: bytes, start: int, end: int) -> None:
        if self._is_picture and self.picture is not None:
            self.picture += data[start:end]

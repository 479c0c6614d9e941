"""What reading a file raises."""

from __future__ import annotations


class FormatError(ValueError):
    """A file that is damaged, hostile, of another format or of another architecture.

    The message is one sentence or a few, and names the file.
    """


class MismatchError(FormatError):
    """A file that is sound, and whose layers are not the model's."""

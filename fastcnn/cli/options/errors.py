"""The error of a command used wrongly."""

from __future__ import annotations


class UsageError(ValueError):
    """The command line asks for something that cannot be: the command ends with code 2."""

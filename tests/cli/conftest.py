"""What every test of the command line runs without."""

from __future__ import annotations

import pytest

from fastcnn.applications import pretrained


@pytest.fixture(autouse=True)
def no_weights_at_hand(monkeypatch):
    """No test sees which networks' weights lie on this computer."""
    monkeypatch.setattr(pretrained, "PREFERRED", ())

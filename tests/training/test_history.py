"""A history as a table, as files, and in a notebook."""

from __future__ import annotations

import json
import math
import sys
import xml.etree.ElementTree as ElementTree

import pandas as pd
import pytest

from fastcnn.callbacks.history import History

NAN = math.nan


def history(epochs=3, first=0):
    """Validated after epochs 2, 4, ..."""
    measured = History()
    for epoch in range(first, first + epochs):
        logs = {"loss": 1 / (epoch + 1), "val_loss": 0.5 if epoch % 2 else NAN, "<b>": 0.1}
        measured.add(epoch, logs, seconds=2.0, images=10)
    return measured


def test_a_frame_has_a_row_an_epoch():
    frame = history(first=4).to_dataframe()
    names = ["epoch", "loss", "val_loss", "<b>", "seconds", "images_per_second"]
    assert frame.columns.tolist() == names
    assert frame["epoch"].tolist() == [4, 5, 6]
    assert frame["val_loss"].isna().tolist() == [True, False, True]
    assert frame["images_per_second"].tolist() == [5.0] * 3


def test_files_hold_what_the_frame_does(tmp_path):
    measured = history()
    frame = measured.to_dataframe()
    measured.to_csv(tmp_path / "history.csv")
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "history.csv"), frame)
    measured.to_json(tmp_path / "history.json")
    stored = json.loads((tmp_path / "history.json").read_text(), parse_constant=pytest.fail)
    assert stored["val_loss"] == [None, 0.5, None]
    pd.testing.assert_frame_equal(pd.DataFrame(stored), frame)
    assert measured.to_csv() == (tmp_path / "history.csv").read_text()
    assert measured.to_json() == (tmp_path / "history.json").read_text()


def test_a_value_that_comes_late_or_stops_is_missing_elsewhere():
    measured = History()
    for epoch, logs in enumerate([{"loss": 1.0}, {"loss": 2.0, "late": 3.0}, {"loss": 4.0}]):
        measured.add(epoch, logs, 1.0, 1)
    assert measured.history["late"] == pytest.approx([NAN, 3.0, NAN], nan_ok=True)


def test_a_missing_pandas_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="needs the package pandas: pip install pandas"):
        history().to_dataframe()


def test_a_notebook_shows_curves_and_the_first_and_last_epochs():
    page = history(30)._repr_html_()
    tree = ElementTree.fromstring(page)
    assert len([*tree.iter("svg")]) == 2  # the loss, and what is called <b>
    rows = [[cell.text for cell in line.iter("td")] for line in tree.iter("tr")][1:]
    assert [line[0] for line in rows] == ["1", "2", "3", "4", "5", "…", *map(str, range(26, 31))]
    assert rows[0][1:3] == ["1", None]
    assert "<b>" not in page
    assert "<script" not in page
    ElementTree.fromstring(History()._repr_html_())


def test_it_says_what_it_holds():
    assert repr(history(1)) == "<History of 1 epoch: loss, val_loss, <b>>"
    assert repr(History()) == "<History of 0 epochs>"

"""What a notebook shows of a report: what `print` shows, as text."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from fastcnn.autotune.report import Report as TuningReport
from fastcnn.data.folder.scan_report import LeftOut
from fastcnn.data.folder.scan_report import Report as FolderReport
from fastcnn.saving.weights import LoadReport

SKIPPED = [LeftOut("<b>&.png", "it holds no image")]


@pytest.mark.parametrize(
    "report",
    [
        FolderReport("photos", ["<i>ant</i>", "bee"], [3, 12], SKIPPED),
        LoadReport(["dense"], {"<conv2d>": "shapes differ"}),
        TuningReport(32, 2, 1e-5, [], 1.5, False, place="2 threads"),
    ],
    ids=lambda report: type(report).__module__,
)
def test_a_report_is_shown_as_it_is_printed(report):
    page = ElementTree.fromstring(report._repr_html_())
    assert page.tag == "pre" and page.text == str(report)

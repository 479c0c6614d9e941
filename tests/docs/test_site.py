"""The site is built, strictly, of pages that stand in its navigation, and needs no network."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys

import pytest
import yaml
from code_blocks import ROOT, blocks

import fastcnn

PAGES = sorted((ROOT / "docs").rglob("*.md"))
NOT_DOCUMENTED = {"zoo"}  # an earlier name
MODULES = {
    name
    for name in fastcnn.__all__
    if importlib.util.find_spec(f"fastcnn.{name}") is not None and name not in NOT_DOCUMENTED
}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built site: its folder."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet"]
    done = subprocess.run(
        [*command, "--site-dir", folder],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def html(site, page):
    """A built page's text."""
    name = page.relative_to(ROOT / "docs").with_suffix(".html")
    return (site / name).read_text(encoding="utf-8")


def test_nothing_is_fetched_from_elsewhere(site):
    for path in [*site.rglob("*.html"), *site.rglob("*.css")]:
        text = path.read_text(encoding="utf-8")
        fetched = re.findall(r"<(?:link|script|img)[^>]*(?:href|src)=\"?(https?:[^\"\s>]+)", text)
        assert not fetched + re.findall(r"url\(\"?(https?:[^)]+)", text), path.name


def test_every_block_of_code_on_a_page_is_one_that_is_tested(site):
    """An indented block would be code that no test sees."""
    for page in PAGES:
        if page.parent.name != "reference" and page.name != "architecture.md":
            visible = [b for b in blocks(page.read_text(encoding="utf-8")) if b.mark != "setup"]
            assert html(site, page).count("<pre") == len(visible), page.name


def test_every_mark_of_a_test_is_hidden(site):
    for page in PAGES:
        shown = re.sub(r"<!--.*?-->", "", html(site, page), flags=re.DOTALL)
        assert "&lt;!-- test" not in shown and "<!-- test" not in shown, page.name


def test_every_public_module_has_its_page_of_the_reference():
    named = {
        module.removeprefix("fastcnn.")
        for page in (ROOT / "docs" / "reference").glob("*.md")
        for module in re.findall(r"^::: (\S+)", page.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert MODULES | {"Sequential", "functional", "devices"} <= named


def test_the_reference_has_docstrings_as_help_has_them(site):
    """Completed by decorators, and of functions that calls make."""
    layers = html(site, ROOT / "docs" / "reference" / "layers.md")
    assert "<code>name</code>, text without" in layers
    networks = html(site, ROOT / "docs" / "reference" / "applications.md")
    assert "138,357,544 parameters" in networks and 'id="fastcnn.applications.vgg16"' in networks
    assert "Args:" not in layers + networks


def test_every_page_stands_in_the_navigation():
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    listed = re.findall(r"\b([\w/-]+\.md)\b", str(yaml.safe_load(text)["nav"]))
    assert sorted(listed) == sorted(p.relative_to(ROOT / "docs").as_posix() for p in PAGES)

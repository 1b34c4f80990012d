"""The documentation is built as a site, without a warning and without network. Its pages load nothing from others."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import pytest
from lxml import html

import pm as package

if TYPE_CHECKING:
    from collections.abc import Callable

    Build = Callable[[str, Callable[[Path], object]], Path]

ROOT = Path(package.__file__).parents[1]
NOWHERE = "http://127.0.0.1:9"
LOADS = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href"}
"""Elements by which a page loads something, and the attribute with its address."""
ONLY_NAMED = {"canonical", "next", "prev"}
"""Kinds of links in a page's head that name a page, and load nothing."""


@pytest.fixture(scope="module")
def site(build_once: Build) -> Path:
    if find_spec("mkdocs") is None or find_spec("mkdocstrings") is None:
        pytest.skip("mkdocs is not installed: pip install -e '.[docs]'")

    def build(folder: Path) -> None:
        offline = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), NOWHERE)
        done = subprocess.run(
            [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder],
            cwd=ROOT, env=os.environ | offline | {"NO_MKDOCS_2_WARNING": "1"},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

    return build_once("site", build)


def pages(site: Path) -> list[tuple[Path, html.HtmlElement]]:
    found = [(path, html.fromstring(path.read_text("utf-8"))) for path in sorted(site.rglob("*.html"))]
    assert len(found) > 60
    return found


def test_pages_load_nothing_from_other_sites(site: Path) -> None:
    for path, page in pages(site):
        for element in page.iter(*LOADS):
            address = element.get(LOADS[element.tag])
            if address is None or element.get("rel") in ONLY_NAMED:
                continue
            assert urlsplit(address).scheme in {"", "data"}, (path, address)


def test_every_link_within_the_site_leads_to_a_place(site: Path) -> None:
    built = {path.resolve(): {str(name) for name in page.xpath("//@id | //@name")} for path, page in pages(site)}
    for path, page in pages(site):
        for link in page.xpath("//a/@href"):
            address = urlsplit(str(link))
            if address.scheme or path.name == "404.html":
                continue
            target = (path.parent / unquote(address.path)).resolve() if address.path else path.resolve()
            assert target.exists(), (path, link)
            if address.fragment and target in built:
                assert unquote(address.fragment) in built[target], (path, link)


def test_the_reference_has_the_public_methods_and_every_table(site: Path) -> None:
    python = (site / "python.html").read_text("utf-8")
    for name in ("pm.open", *(f"pm.reader.Reader.{method}" for method in ("bars", "forecasts", "signals", "sql"))):
        assert f'id="{name}"' in python
    assert re.search(r"Raises.*UnknownTickerError", python, re.DOTALL)
    tables = (site / "tables.html").read_text("utf-8")
    assert all(f'id="{name}"' in tables for name in ("bars", "forecasts", "signals", "health_checks"))

"""What the page is made of: our own files and one library, unchanged."""

import hashlib
import re
from pathlib import Path

import pytest
from skyblend.predict.serve import routes

STATIC = Path(routes.__file__).with_name("static")
VENDOR = STATIC / "vendor" / "uplot-1.6.32"
OURS = sorted(
    p for p in STATIC.rglob("*") if p.suffix in {".html", ".js", ".css"} and "vendor" not in p.parts
)


def test_the_library_is_as_it_was_published():
    lines = (VENDOR / "SHA256SUMS").read_text().splitlines()
    stated = {name: sha256 for sha256, name in (line.split() for line in lines)}
    found = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in VENDOR.iterdir()
        if path.name != "SHA256SUMS"
    }
    assert found == stated
    # the package uplot 1.6.32 of the npm registry
    assert found["uPlot.iife.min.js"].startswith("19c8d4c6ad88929a")


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.name)
def test_nothing_is_loaded_from_elsewhere(path):
    loaded = re.findall(
        r"""(?:src|href)="([^"]+)"|from "([^"]+)"|url\(([^)]+)\)""", path.read_text()
    )
    addresses = {part for found in loaded for part in found if part}
    assert all(address.startswith(("/static/", "./", "#")) for address in addresses), addresses


def test_nothing_in_the_page_needs_a_weaker_content_policy():
    page = (STATIC / "index.html").read_text()
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", page)


def test_every_file_the_page_names_is_there():
    page = (STATIC / "index.html").read_text()
    for address in re.findall(r'"/static/([^"]+)"', page):
        assert (STATIC / address).is_file(), address

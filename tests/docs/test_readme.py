"""README.md is true: its pictures and links exist, its commands run, and it explains a word before it uses it."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import pytest

from greenroom.cli import main
from greenroom.demo.story import STEPS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
GLOSSARY = re.findall(r"^\| \*\*(.+?)\*\* \|", (ROOT / "docs" / "glossary.md").read_text(), re.MULTILINE)
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
PICTURES = sorted((ROOT / "docs" / "pictures").glob("*.png"))
LARGEST = 250_000  # bytes: a page with two pictures has to load fast
IRREGULAR = {"hold": "holds|held"}


def size(picture: Path) -> tuple[int, int]:
    """Return width and height. https://www.w3.org/TR/png/#11IHDR"""
    head = picture.read_bytes()[:24]
    assert head.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", head[16:24])
    return width, height


def anchors(page: str) -> set[str]:
    """Return the anchors of the headings, as GitHub forms them."""
    headings = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("picture", PICTURES, ids=[p.name for p in PICTURES])
def test_picture_is_small_and_the_readme_shows_it(picture: Path) -> None:
    assert picture.stat().st_size < LARGEST, "run docs/pictures.py with fewer PIXELS"
    assert size(picture)[0] >= 1200, "text is not sharp on good screens"
    assert str(picture.relative_to(ROOT)) in README


def test_readme_shows_one_picture_in_light_and_dark() -> None:
    light, dark = (re.findall(rf"docs/pictures/(\S+)-{scheme}\.png", README) for scheme in ("light", "dark"))
    assert light == dark == ["preview"]
    assert len(PICTURES) == 2
    assert size(PICTURES[0]) == size(PICTURES[1]), "run docs/pictures.py: the pictures are of different runs"


@pytest.mark.parametrize("page", PAGES, ids=[str(p.relative_to(ROOT)) for p in PAGES])
def test_links_of_a_page_lead_to_files_and_headings_that_exist(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if link.startswith(("http:", "https:")):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target.read_text()), link


@pytest.mark.parametrize("word", GLOSSARY)
def test_readme_explains_a_word_of_the_glossary_before_it_uses_it(word: str) -> None:
    text = re.sub(r"\]\([^)]*\)|^    .*$|`[^`]+`", "", README, flags=re.MULTILINE)  # in code, `catalog` is a service
    used = re.compile(rf"\b({word}(s|d|ed)?|{IRREGULAR.get(word, word)})\b", re.IGNORECASE)
    if first := used.search(text):
        assert text[: first.start()].endswith("**"), text[max(0, first.start() - 80) : first.end() + 40]


def test_commands_of_the_readme_exist() -> None:
    commands = set(re.findall(r"(?:^    |`|\$ )greenroom ([a-z]+)", README, re.MULTILINE))
    assert len(commands) > 10
    assert commands <= main.commands.keys()
    targets = set(re.findall(r"(?:^    |`)(?:KIND=1 )?make ([a-z0-9-]+)", README, re.MULTILINE))
    assert {"demo", "cluster", "e2e", "bench"} <= targets
    assert targets <= set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_readme_shows_the_steps_of_the_demo() -> None:
    assert re.findall(r"^    ✓ (.+) \(\d+\.\d s\)$", README, re.MULTILINE) == [step.about for step in STEPS]

"""Every file, folder and function that docs/architecture.md and CONTRIBUTING.md name exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "greenroom"
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()
PAGES = {"docs/architecture.md": ARCHITECTURE, "CONTRIBUTING.md": (ROOT / "CONTRIBUTING.md").read_text()}
ELSEWHERE = {"greenroom.yaml", "services/*.yaml", "values.yaml", "docker-compose.yml", "app.json"}  # of users
FLOW = re.search(r"^## One label.*?^(    GitHub\n.*?)\n\n[^ ]", ARCHITECTURE, re.MULTILINE | re.DOTALL)
PLACE = re.compile(r"`([\w./-]+\.py)`[:,] ((?:`\w+(?:\(\))?`(?:, )?)+)")
TEST_NAME = re.compile(r"`(test_\w+)` in `(tests/[\w/]+\.py)`")


def paths(page: str) -> list[str]:
    """Return the files and folders in backticks: each has a suffix, or a slash and no blank."""
    quoted = re.findall(r"`([^`\n]+)`", page)
    named = [q for q in quoted if re.fullmatch(r"[\w.*-]+(/[\w.*-]+)*(/|\.(py|md|yaml|yml|json))|[\w-]+(/[\w-]+)+", q)]
    return [n for n in named if n not in ELSEWHERE and not re.search(r"(\.dev|/argocd-)", n)]


def exists(path: str) -> bool:
    return any((folder / path).exists() for folder in (SOURCE, ROOT))


def defines(path: str, name: str) -> bool:
    """Return whether a module defines a function, class or constant of this name."""
    text = (SOURCE / path if (SOURCE / path).exists() else ROOT / path).read_text()
    return bool(re.search(rf"^ *((async )?def|class) {name}\b|^{name}\b.*=", text, re.MULTILINE))


@pytest.mark.parametrize("page", PAGES)
def test_every_path_of_a_page_exists(page: str) -> None:
    found = paths(PAGES[page])
    assert len(found) > (60 if page == "docs/architecture.md" else 3)
    assert [path for path in found if not exists(path)] == []


def test_every_function_of_the_page_is_in_the_module_that_it_names() -> None:
    named = [
        (path, name.removesuffix("()"))
        for path, names in PLACE.findall(ARCHITECTURE)
        for name in re.findall(r"`([^`]+)`", names)
    ]
    assert len(named) > 25
    assert [(path, name) for path, name in named if not defines(path, name)] == []


def test_every_test_of_the_page_is_in_the_file_that_it_names() -> None:
    named = TEST_NAME.findall(ARCHITECTURE)
    assert named
    assert [(name, path) for name, path in named if not defines(path, name)] == []


def test_the_flow_of_a_label_names_modules_of_the_folder_above_them() -> None:
    assert FLOW
    folder, found = "", []
    for line in FLOW[1].splitlines():
        begins = re.match(r"    ([\w/]+)/ {2,}", line)
        folder = begins[1] if begins else folder
        found += [(folder, module) for module in re.findall(r"\b(\w+\.py)\b", line)]
    assert len(found) > 15
    assert [(f, m) for f, m in found if not (SOURCE / f / m).exists()] == []
    folders = re.findall(r"(?<![\w/])([a-z]+(?:/[a-z]+)?)/(?= |$)", FLOW[1], re.MULTILINE)
    assert {
        "web",
        "controller",
        "core/planning",
        "core/policy",
        "github",
        "registry",
        "argocd",
        "charts/preview",
    } <= set(folders)
    assert [f for f in folders if not exists(f)] == []

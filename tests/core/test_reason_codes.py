"""docs/reasons.md explains every reason code and no others."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reasons.md").read_text()
ROWS = re.findall(r"^\| `([a-z-]+)` \|(.+)\|$", PAGE, re.MULTILINE)


def codes() -> dict[str, str]:
    """Return each code that a `Reason` in the source has, and where it is created."""
    found: dict[str, str] = {}
    for path in sorted((ROOT / "src").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or "Reason" not in (
                getattr(node.func, "id", ""),
                getattr(node.func, "attr", ""),
            ):
                continue
            where = f"{path.relative_to(ROOT)}:{node.lineno}"
            match node.args[:1] or [k.value for k in node.keywords if k.arg == "code"]:
                case [ast.Constant(value=str(code))]:
                    found[code] = where
                case [ast.Attribute(attr="code")]:
                    pass  # a copy of another reason with more text
                case _:
                    pytest.fail(f"{where}: the code is not a literal, so this test cannot check that it is documented")
    return found


def test_page_lists_exactly_the_codes_in_the_source() -> None:
    found, known = codes(), [code for code, _ in ROWS]
    assert {code: where for code, where in found.items() if code not in known} == {}
    assert sorted(known) == sorted(found), "the page names a code twice, or one that does not exist"


def test_each_table_row_is_complete() -> None:
    """Every row has all cells of its table."""
    for table in re.findall(r"(?:^\|.*\n)+", PAGE, re.MULTILINE):
        widths = {line.count("|") for line in table.splitlines()}
        assert len(widths) == 1, table
        assert all(cell.strip() for line in table.splitlines() for cell in line.strip("|\n").split("|"))

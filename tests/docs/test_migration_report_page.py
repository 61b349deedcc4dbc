"""docs/migration-report.md has the text of its template. Its figures come from a run of `python -m bench.migration_report`."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_page_has_the_text_of_the_template() -> None:
    page = (ROOT / "docs" / "migration-report.md").read_text()
    template = (ROOT / "bench" / "migration_report.md").read_text().replace("{{", "{").replace("}}", "}")
    parts = [part.strip() for part in re.split(r"\{\w+\}", template)]
    assert len(parts) > 5
    assert [part for part in parts if part not in page] == []

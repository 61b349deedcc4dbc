"""Write the files that are generated from the table of kinds: the chart's kinds.yaml and the table in docs/needs.md.

python docs/kinds.py          writes both
python docs/kinds.py --check  exits 1 if one of them does not match src/greenroom/core/model/kinds.py
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from greenroom.core.model.kinds import KINDS, Chart, Kind

ROOT = Path(__file__).parents[1]
CHART = ROOT / "charts" / "preview" / "kinds.yaml"
PAGE = ROOT / "docs" / "needs.md"
TABLE = re.compile(r"^\| kind \|.*\n(?:\|.*\n)+", re.MULTILINE)
HEAD = """# The kinds of needs. Written by docs/kinds.py from src/greenroom/core/model/kinds.py, where each key is explained.
"""


class _Dumper(yaml.SafeDumper):
    """Dumper that writes scripts of several lines as blocks."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def chart(kinds: Mapping[str, Kind]) -> str:
    """Return the chart's kinds.yaml."""
    entries = {name: _entry(kind.chart) for name, kind in kinds.items()}
    texts = (yaml.dump({n: e}, Dumper=_Dumper, sort_keys=False, width=1000) for n, e in entries.items())
    return HEAD + "\n".join(texts)


def _entry(found: Chart) -> dict[str, Any]:
    values = {field.name: getattr(found, field.name) for field in fields(found)}
    plain = {k: list(v) if isinstance(v, tuple) else str(v) if isinstance(v, str) else v for k, v in values.items()}
    return {k: v for k, v in plain.items() if v not in ("", [], {})}


def table(kinds: Mapping[str, Kind]) -> str:
    """Return the table for docs/needs.md."""
    head = (
        "kind",
        "versions",
        "stock image",
        "default variable and value",
        "ready when",
        "data in a replaced pod (ephemeral)",
    )
    lines = [(*head, "local program", "run on the test cluster"), ("---",) * 8]
    for name, kind in kinds.items():
        versions = ", ".join(f"**{v}**" if v == kind.default else v for v in kind.versions)
        again = "empty; nothing restarts" if kind.cache else "empty; services restart and migrate"
        given = f"`{kind.variable}` `{_address(kind.chart)}`"
        here = " or ".join(f"`{program}`" for program in kind.programs) or "not supported"
        lines.append((f"`{name}`", versions, f"`{kind.chart.image}`", given, kind.answers, again, here, kind.tried))
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _address(found: Chart) -> str:
    """Return the address of a need as the chart's `preview.url` writes it."""
    scheme = f"{found.scheme}://" if found.scheme else ""
    login = f"{found.login}:…@" if found.password else ""
    return f"{scheme}{login}HOST:{found.port}{f'/{found.database}' if found.database else ''}"


def main() -> int:
    """Write both files, or compare them with `--check`."""
    page = PAGE.read_text()
    written = {CHART: chart(KINDS), PAGE: TABLE.sub(lambda _: table(KINDS), page, count=1)}
    if "--check" in sys.argv:
        return int(any(path.read_text() != text for path, text in written.items()))
    for path, text in written.items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())

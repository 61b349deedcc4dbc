"""Write docs/configuration.md from the models, so that no field is missing and none is described twice.

python docs/configuration.py          writes it
python docs/configuration.py --check  exits 1 when it is not what the models say
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from greenroom import config

PAGE = Path(__file__).with_suffix(".md")
HEAD = """# Configuration

One folder that the platform team owns, in its own repository, on a protected branch: `greenroom.yaml` and
`services/*.yaml`, and manifests of your own in `needs/*.yaml`. `greenroom check FOLDER` says everything that is wrong with it, each with the fix, and refuses
every configuration that `greenroom serve` would refuse; lines that begin with `warning:` say what is probably not meant and leave the exit code
at 0. A running Greenroom takes a right change over within seconds and keeps the old configuration when the new one is wrong.
A change that would remove, rename or restart previews waits for a person (`greenroom release`).

The smallest setup is [examples/minimal](../examples/minimal), a whole one
[examples/shop/platform](../examples/shop/platform).
For your editor: `# yaml-language-server: $schema=...` with [schema/greenroom.json](schema/greenroom.json) and
[schema/service.json](schema/service.json).

[needs.md](needs.md) says what a preview can have of its own.

Durations are a number and a unit: `30s`, `90m`, `12h`, `3d`. Commands are lists, or one string that is split as a shell
would; no shell runs. Secrets are never in these files, only the names of the variables (upper case) or files that hold them.
`chart`, `overlay`, `access`, `jira`, `velocity` and, outside of a need, `seed` are reserved for later releases and refused.
"""


def main() -> int:
    """Write, or compare."""
    schemas = config.json_schema()
    parts = [HEAD, "\n## greenroom.yaml\n", *tables(schemas["greenroom"]), "\n## services/NAME.yaml\n"]
    parts += tables(schemas["service"])
    text = "\n".join(parts).rstrip() + "\n"
    if "--check" in sys.argv:
        return int(PAGE.read_text() != text)
    PAGE.write_text(text)
    return 0


def tables(schema: dict[str, Any]) -> list[str]:
    """The table of a file, then one for each mapping inside it."""
    found = [table(schema)]
    for name, model in schema.get("$defs", {}).items():
        found.append(f"\n### {name.removesuffix('Model')}\n\n{model.get('description', '')}\n\n{table(model)}")
    return found


def table(model: dict[str, Any]) -> str:
    """Field, type, default, what it means."""
    lines = ["| field | type | default | what it means |", "| --- | --- | --- | --- |"]
    for name, field in model["properties"].items():
        required = name in model.get("required", ())
        default = "required" if required else "see below" if "$ref" in field else shown(field.get("default"))
        lines.append(f"| `{name}` | {kind(field)} | {default} | {field.get('description', 'See below.')} |")
    return "\n".join(lines)


def kind(field: dict[str, Any]) -> str:
    """A type in words."""
    if "$ref" in field:
        return str(field["$ref"]).rpartition("/")[2].removesuffix("Model")
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    options = [
        kind(option) for option in field.get("anyOf", []) + field.get("allOf", []) if option.get("type") != "null"
    ]
    if options:
        return " or ".join(dict.fromkeys(options))
    match field.get("type"):
        case "array":
            return f"list of {kind(field.get('items', {}))}"
        case "object":
            values: Any = field.get("additionalProperties") or next(
                iter(field.get("patternProperties", {}).values()), {}
            )
            return f"mapping to {kind(values)}" if isinstance(values, dict) else "mapping"
        case None:
            return "text"
        case name:
            return {"string": "text", "integer": "number", "boolean": "true or false"}.get(name, str(name))


def shown(value: Any) -> str:
    """A default as people write it."""
    match value:
        case None | "" | [] | {}:
            return "none"
        case dict() | list():
            return "see below"
        case bool():
            return f"`{str(value).lower()}`"
        case _:
            return f"`{value}`"


if __name__ == "__main__":
    sys.exit(main())

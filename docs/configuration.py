"""Write docs/configuration.md from the models, so that no field is missing or described twice.

python docs/configuration.py          writes it
python docs/configuration.py --check  exits 1 when it does not match the models
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from greenroom import config

PAGE = Path(__file__).with_suffix(".md")
HEAD = """# Configuration

The configuration is a folder that the platform team owns, in its own repository, on a protected branch. It contains `greenroom.yaml`,
`services/*.yaml`, and your own manifests in `needs/*.yaml`. `greenroom check FOLDER` reports every mistake in it, each with a fix, and
rejects every configuration that `greenroom serve` would reject. Lines that begin with `warning:` report settings that are probably not
intended; they leave the exit code at 0. With `engine: local` it also checks this machine, so run it where `greenroom serve` runs.
`greenroom values FOLDER` checks the folder and prints it as values for the Helm chart ([kubernetes.md](kubernetes.md)).

[examples/minimal](../examples/minimal) is the smallest setup, and
[examples/shop/platform](../examples/shop/platform) is a complete one.
For editor support, use `# yaml-language-server: $schema=...` with [schema/greenroom.json](schema/greenroom.json) and
[schema/service.json](schema/service.json).

[needs.md](needs.md) describes the databases, queues and caches that a preview can have. [local.md](local.md) describes how to run your own
project on this machine.

Durations consist of a number and a unit: `30s`, `90m`, `12h`, `3d`. Commands are lists, or one string that is split the way a shell
would split it. No shell runs. These files never contain secrets, only the names of the variables (uppercase) or files that hold them.
`chart`, `overlay`, `access`, `jira`, `velocity` and, outside of a need, `seed` are reserved for later releases and rejected.

## When a change takes effect

A running Greenroom applies a valid change within seconds of reading it. If the new configuration is invalid, it keeps the old one.

| change | existing previews |
| --- | --- |
| a new service; a different `image` or `paths` for a service | deploy it as soon as its image is available, as after a push. No limit applies |
| another setting of a service: its processes, commands, `migrate`, `env`, resources, a new need; an address under `staging:` | apply it immediately, and the affected services restart. In one hour, at most 3 previews or 10% of them, whichever is larger, restart this way, in each repository and in total. The others are held (`restart-breaker`). They follow hour by hour, under the same limit, or immediately with their next push or `greenroom release`. A preview whose own code failed and that has nothing running counts toward the limit but is not held |
| a removed service, data that would be lost (a need is removed, or gets a different `kind` or `storage`), a different name or address (`domain`, `repositories`) | are always held until `greenroom release` |
| `label` | are held if they have only the old label, until a person adds the new one or `greenroom release` removes them |
| the preview chart and settings of the whole cluster (`argocd.chartVersion`, `ingress`, `network`, `quota`, `scheduling`, `images`, `storage`, `defaults`, ...) | keep what they have until their next push or `greenroom redeploy` |
| `lifetime`, `limits`, `drafts`, `bots` | nothing restarts |

So with three previews or fewer, a change to a service restarts all of them at once. Try it on one preview first, or make the change outside
working hours. [kubernetes.md](kubernetes.md#make-changes) lists the settings that need a restart of Greenroom.
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
    """Return the table of a file, then one for each mapping inside it."""
    found = [table(schema)]
    for name, model in schema.get("$defs", {}).items():
        found.append(f"\n### {name.removesuffix('Model')}\n\n{model.get('description', '')}\n\n{table(model)}")
    return found


def table(model: dict[str, Any]) -> str:
    """Return a table of fields: type, default, meaning."""
    lines = ["| field | type | default | what it means |", "| --- | --- | --- | --- |"]
    for name, field in model["properties"].items():
        required = name in model.get("required", ())
        default = "required" if required else "see below" if "$ref" in field else shown(field.get("default"))
        lines.append(f"| `{name}` | {kind(field)} | {default} | {field.get('description', 'See below.')} |")
    return "\n".join(lines)


def kind(field: dict[str, Any]) -> str:
    """Return a type in words."""
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
            return "string"
        case name:
            return str(name)


def shown(value: Any) -> str:
    """Return a default as people write it."""
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

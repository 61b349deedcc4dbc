"""JSON Schemas of greenroom.yaml and services/*.yaml, for editors and for `greenroom schema`."""

from __future__ import annotations

from typing import Any

from greenroom.config.platform import PlatformModel
from greenroom.config.service import ServiceModel

DRAFT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, dict[str, Any]]:
    """Return the schemas by name: `greenroom` for greenroom.yaml, `service` for services/*.yaml."""
    service = ServiceModel.model_json_schema(by_alias=True)
    properties = service["properties"]
    properties["image"] = {
        "anyOf": [{"type": "string"}, properties["image"]],
        "description": "The image, as a string or a mapping.",
    }
    properties["needs"]["items"] = {"anyOf": [{"type": "string"}, *properties["needs"]["items"]["oneOf"]]}
    for shape in ("NeedModel", "SharedNeedModel", "UseModel"):
        given = service["$defs"][shape]["properties"]
        parts = next(o for o in given["as"].get("anyOf", [given["as"]]) if "$ref" in o)["$ref"]
        given["as"] = {"anyOf": [{"type": "string"}, {"$ref": parts}], "description": given["as"]["description"]}
    seed = service["$defs"]["NeedModel"]["properties"]["seed"]
    seed["anyOf"] = [{"type": "string"}, *seed["anyOf"]]
    platform = PlatformModel.model_json_schema(by_alias=True)
    staging = platform["properties"]["staging"]
    staging["additionalProperties"] = {"anyOf": [{"type": "string"}, staging["additionalProperties"]]}
    return {
        "greenroom": {"$schema": DRAFT, **_commands(platform), "title": "greenroom.yaml"},
        "service": {"$schema": DRAFT, **_commands(service), "title": "A service of the catalog"},
    }


def _commands(schema: dict[str, Any]) -> dict[str, Any]:
    """Allow a string wherever the schema has a command."""
    for name in ("command", "migrate"):
        for holder in (schema, *schema.get("$defs", {}).values()):
            found = holder.get("properties", {}).get(name)
            if found and found.get("type") == "array":
                listed = {k: found.pop(k) for k in ("type", "items")}
                found["anyOf"] = [listed, {"type": "string"}]
    return schema

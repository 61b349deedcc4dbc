"""Specs and preview sets as text for annotations: compressed JSON in base64."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import zlib
from dataclasses import replace
from typing import Any, TypeVar

from greenroom.core.comment.sanitize import plain
from greenroom.core.model import codec
from greenroom.core.model.catalog import Service
from greenroom.core.model.engine import PreviewSet
from greenroom.core.model.spec import PreviewSpec
from greenroom.errors import Doubt

T = TypeVar("T")
SHARED = "shared"


class Unreadable(Doubt):
    """Error if one of our objects cannot be read. It stays unchanged, and other objects are not affected."""


def packed(value: object) -> str:
    """Return a value as text for an annotation."""
    return _text(codec.dumped(value))


def packed_set(preview_set: PreviewSet) -> str:
    """Return a preview set as text. Values that specs share (services, the chart's settings) appear once, under their
    hash.

    Compression alone is not enough: it finds no repeats over more than 32 KiB. https://www.rfc-editor.org/rfc/rfc1951
    """
    shared: dict[str, Any] = {}
    keys: dict[Service | str, str] = {}

    def key(part: Service | str) -> str:
        if part not in keys:
            value = codec.dumped(part)
            keys[part] = hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
            shared[keys[part]] = value
        return keys[part]

    data = codec.dumped(
        replace(preview_set, specs={n: _without_services(spec) for n, spec in preview_set.specs.items()})
    )
    for number, spec in preview_set.specs.items():
        packed = data["specs"][str(number)]
        packed["config"]["services"] = [key(s) for s in spec.services]
        packed["chart"]["settings"] = key(spec.chart.settings)
    return _text({**data, SHARED: shared})


def _without_services(spec: PreviewSpec) -> PreviewSpec:
    return replace(spec, config=replace(spec.config, services=()))


def _whole(data: Any) -> Any:
    """Put back the shared values that `packed_set` took out. Leave a single spec, which shares none."""
    if not isinstance(data, dict) or SHARED not in data:
        return data
    try:
        shared = data.pop(SHARED)
        for spec in data["specs"].values():
            spec["config"]["services"] = [shared[key] for key in spec["config"]["services"]]
            spec["chart"]["settings"] = shared[spec["chart"]["settings"]]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"a value that specs share is missing: {error!r}") from None
    return data


def _text(data: object) -> str:
    text = json.dumps(data, separators=(",", ":"), sort_keys=True)
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode()


def unpacked(kind: type[T], text: str, where: str, fix: str = "Restore it.") -> T:
    """Return the value of a packed text. Raise `Unreadable` when it was changed, or another version wrote it."""
    try:
        return codec.loaded(kind, _whole(json.loads(zlib.decompress(base64.b64decode(text, validate=True)))))
    except (binascii.Error, zlib.error, ValueError) as error:
        why = plain(str(error), 100)
        cause = f"{where} cannot be read ({why}): it was edited, or another version of Greenroom wrote it."
        raise Unreadable(f"{cause} Greenroom leaves it unchanged. {fix}") from None

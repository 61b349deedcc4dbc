"""Specs as text for annotations and objects: compressed JSON in base64. Preview sets of the first format are read."""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from typing import Any, TypeVar

from greenroom.core.comment.sanitize import plain
from greenroom.core.model import codec
from greenroom.errors import Doubt

T = TypeVar("T")
SHARED = "shared"


class Unreadable(Doubt):
    """Error if one of our objects cannot be read. It stays unchanged, and other objects are not affected."""


def packed(value: object) -> str:
    """Return a value as text for an annotation."""
    return _text(codec.dumped(value))


def _whole(data: Any) -> Any:
    """Put back the values that the specs of a preview set share, which the first format stored once, by their hash."""
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

"""Conversion of frozen dataclasses to JSON and back, by their annotations. Values that do not match raise `ValueError`.

Both engines store specs this way: the local one in files, the other one in Kubernetes objects. In their visible parts
the names of fields are written in camel case, as everywhere in Kubernetes (`camel`).
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime, timedelta
from enum import Enum
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


def dumped(value: Any, *, camel: bool = False) -> Any:
    """Convert a value to JSON."""
    if is_dataclass(value):
        return {_name(f.name, camel): dumped(getattr(value, f.name), camel=camel) for f in fields(value)}
    match value:
        case Enum():
            return value.value
        case datetime():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case Mapping():
            return {str(k): dumped(v, camel=camel) for k, v in value.items()}
        case tuple() | list() | frozenset():
            return [dumped(v, camel=camel) for v in value]
        case _:
            return value


def loaded(kind: type[T], data: Any, *, camel: bool = False) -> T:
    """Convert JSON to a value of this type. Raise `ValueError` if it does not match."""
    try:
        result: T = _loaded(kind, data, camel)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"does not hold a {kind.__name__}: {error!r}") from None
    return result


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _name(field: str, camel: bool) -> str:
    first, *rest = field.split("_")
    return first + "".join(part.capitalize() for part in rest) if camel else field


def _loaded(kind: Any, data: Any, camel: bool) -> Any:
    origin, args = get_origin(kind), get_args(kind)
    if origin in (types.UnionType, Union):
        return None if data is None else _loaded(next(a for a in args if a is not type(None)), data, camel)
    if origin is tuple:
        kinds = (args[0],) * len(data) if args[-1] is Ellipsis else args
        return tuple(_loaded(k, v, camel) for k, v in zip(kinds, data, strict=True))
    if origin in (dict, Mapping):
        return {_key(args[0], k): _loaded(args[1], v, camel) for k, v in data.items()}
    if isinstance(kind, type) and is_dataclass(kind):
        names = {f.name: _name(f.name, camel) for f in fields(kind)}
        if unknown := data.keys() - set(names.values()):
            raise TypeError(f"{kind.__name__} has no {', '.join(sorted(unknown))}")
        given = {f: _loaded(_hints(kind)[f], data[name], camel) for f, name in names.items() if name in data}
        return kind(**given)
    return _plain(kind, data)


def _plain(kind: Any, data: Any) -> Any:
    if kind is datetime:
        return datetime.fromisoformat(data)
    if kind is timedelta:
        return timedelta(seconds=data)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(data)
    if kind is not Any and not isinstance(data, kind):
        raise TypeError(f"{data!r} is no {kind.__name__}")
    return data


def _key(kind: Any, text: str) -> Any:
    return int(text) if kind is int else text

"""Field types that YAML files share: durations, commands, images; each refuses with a sentence that holds the fix."""

from __future__ import annotations

import re
import shlex
from datetime import timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

NAME = r"^[a-z]([a-z0-9-]*[a-z0-9])?$"
OBJECT = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"
VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"
OPTIONAL = r"^([A-Za-z_][A-Za-z0-9_]*)?$"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(\d+)([smhd])")
_TAG_FIELDS = {"sha", "short_sha", "number"}
_ONE = r"(\d{1,2}|[A-Za-z]{3})"
_PART = rf"(\*|\?|{_ONE}(-{_ONE})?)(/\d{{1,2}})?"
_CRON = re.compile(
    rf"@(hourly|daily|midnight|weekly|monthly|yearly|annually)|{_PART}(,{_PART})*( +{_PART}(,{_PART})*){{4}}"
)
_IMAGE = re.compile(r"[a-z0-9.-]+(:\d+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)+")


class Model(BaseModel):
    """A mapping in YAML: keys in camelCase as Kubernetes writes them, unknown ones refused."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, populate_by_name=False, frozen=True)


def duration(value: Any) -> timedelta:
    """`3d`, `12h`, `90m` or `30s`."""
    if isinstance(value, timedelta):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        raise ValueError(f"{value} has no unit. Write `{value}d`, `{value}h`, `{value}m` or `{value}s`.")
    match = _DURATION.fullmatch(str(value))
    if not match:
        raise ValueError(f"{value!r} is no duration. Write a number and d, h, m or s, such as `3d` or `12h`.")
    return timedelta(seconds=int(match[1]) * _UNITS[match[2]])


def command(value: Any) -> tuple[str, ...]:
    """A list of arguments, or a string that is split as a shell would; no shell ever runs."""
    if isinstance(value, str):
        return tuple(shlex.split(value))
    if isinstance(value, list | tuple) and all(isinstance(v, str) for v in value):
        return tuple(value)
    raise ValueError("is no command. Write a list such as `[python, server.py]`, or one string.")


def tag(value: Any) -> str:
    """A tag template: `{sha}`, `{short_sha}` and `{number}` are filled in; one of the first two is needed."""
    text = str(value)
    fields = set(re.findall(r"\{([^{}]*)\}", text))
    if unknown := fields - _TAG_FIELDS:
        raise ValueError(
            f"{text!r} holds {{{min(unknown)}}}, which is unknown. Use {{sha}}, {{short_sha}} or {{number}}."
        )
    if not fields & {"sha", "short_sha"}:
        raise ValueError(f"{text!r} does not change with the commit. Put {{sha}} or {{short_sha}} in it.")
    if not re.fullmatch(r"[\w.-]+", text.format(sha="a" * 40, short_sha="a" * 7, number=1)):
        raise ValueError(f"{text!r} makes no valid tag. Use letters, digits, `.`, `_` and `-` around the fields.")
    return text


def image(value: Any) -> str:
    """An image without a tag, its registry's host first."""
    text = str(value)
    host = text.split("/")[0]
    if "." not in host and ":" not in host and host != "localhost":
        raise ValueError(f"{text!r} names no registry. Write its host first: `registry.example.com/{text}`.")
    if not _IMAGE.fullmatch(text):
        raise ValueError(f"{text!r} is no image without a tag. Write `registry.example.com/shop/catalog`; see `tag:`.")
    return text


def url_alone(value: Any) -> Any:
    """One string is short for a mapping with `url`: the variable that receives the whole of an address."""
    return {"url": value} if isinstance(value, str) else value


def quantity_of_bytes(value: str) -> str:
    """A Kubernetes quantity of bytes."""
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)?(k|M|G|T|Ki|Mi|Gi|Ti)?", value):
        raise ValueError(f"{value!r} is no quantity of bytes. Write 512Mi or 2Gi.")
    return value


def quantity_of_cpu(value: str) -> str:
    """A Kubernetes quantity of CPU."""
    if not re.fullmatch(r"[0-9]+m|[0-9]+(\.[0-9]+)?", value):
        raise ValueError(f"{value!r} is no quantity of CPU. Write 500m, or 2 for two whole ones.")
    return value


def cron(value: str) -> str:
    """When a CronJob runs. https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/#schedule-syntax"""
    if value and not _CRON.fullmatch(value):
        raise ValueError(f"{value!r} is no schedule. Write five fields, such as `0 3 * * *`, or `@daily`.")
    return value


def _example(text: str) -> Any:
    return Field(json_schema_extra={"type": "string", "examples": [text]})


Duration = Annotated[timedelta, BeforeValidator(duration), _example("3d")]
Command = Annotated[tuple[str, ...], BeforeValidator(command)]
Tag = Annotated[str, BeforeValidator(tag)]
ImageName = Annotated[str, BeforeValidator(image)]
Bytes = Annotated[str, AfterValidator(quantity_of_bytes)]
Cpu = Annotated[str, AfterValidator(quantity_of_cpu)]
Schedule = Annotated[str, AfterValidator(cron)]

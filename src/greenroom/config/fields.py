"""Field types that the YAML files share: durations, commands, images. Each error message includes the fix."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from greenroom.config.addresses import is_port

NAME = r"^[a-z]([a-z0-9-]*[a-z0-9])?$"
OBJECT = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"
VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"
OPTIONAL = r"^([A-Za-z_][A-Za-z0-9_]*)?$"
SOURCE = r"^([A-Z][A-Z0-9_]*)?$"  # Greenroom's own variables; narrow, because a token must not pass as a name
OPTIONAL_NAME = r"^([a-z]([a-z0-9-]*[a-z0-9])?)?$"
REPOSITORY = r"^[\w.-]+/[\w.-]+$"
OPTIONAL_REPOSITORY = r"^([\w.-]+/[\w.-]+)?$"
EXTENSION = r"^[a-z_][a-z0-9_-]*$"
PATH = r"^/"
MANIFEST = r"^needs/[a-z]([a-z0-9-]{0,38}[a-z0-9])?\.yaml$"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(\d+)([smhd])")
_TAG_FIELDS = {"sha", "short_sha", "number"}
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_TAG_LENGTH = 128
LONGEST = timedelta(days=3650)  # far below the limit of dates
_ONE = r"(\d{1,2}|[A-Za-z]{3})"
_PART = rf"(\*|\?|{_ONE}(-{_ONE})?)(/\d{{1,2}})?"
_CRON = re.compile(
    rf"@(hourly|daily|midnight|weekly|monthly|yearly|annually)|{_PART}(,{_PART})*( +{_PART}(,{_PART})*){{4}}"
)
_IMAGE = re.compile(r"[a-z0-9.-]+(:\d+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)+")


class Model(BaseModel):
    """Base class of YAML mappings. Keys are in camelCase as in Kubernetes, and unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, populate_by_name=False, frozen=True)


def named(text: str) -> str:
    """Return the name that a text probably means: `my-web` for `My_Web`."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-").lstrip("0123456789-")


def _name(given: str) -> tuple[str, str]:
    fix = f"Write `{named(given)}`: " if named(given) else "Use "
    return "not a valid name", f"{fix}lowercase letters, digits and `-`, starting with a letter."


def _variable(given: str) -> tuple[str, str]:
    meant = re.sub(r"\W+", "_", given, flags=re.ASCII).strip("_").upper()
    fix = f"Write `{meant}`: " if re.match(VARIABLE, meant) else "Use "
    return "not a valid variable name", f"{fix}letters, digits and `_`, not starting with a digit."


def _repository(given: str) -> tuple[str, str]:
    url = re.search(r"[/:]([\w.-]+/[\w.-]+?)(\.git)?/?$", given) if "://" in given or "@" in given else None
    return "not a valid repository", f"Write `{url[1] if url else 'owner/name'}`."


_WORDS: dict[str, Callable[[str], tuple[str, str]]] = {
    NAME: _name,
    OPTIONAL_NAME: _name,
    OBJECT: lambda _: (
        "not a valid Secret name",
        "Use lowercase letters, digits, `-` and `.`, starting and ending with a letter or digit.",
    ),
    VARIABLE: _variable,
    OPTIONAL: _variable,
    SOURCE: lambda _: ("not a valid variable name", "Use uppercase letters, digits and `_`, starting with a letter."),
    REPOSITORY: _repository,
    OPTIONAL_REPOSITORY: _repository,
    EXTENSION: lambda _: (
        "not a valid extension name",
        "Use lowercase letters, digits, `_` and `-`, starting with a letter or `_`.",
    ),
    PATH: lambda given: ("not a valid path", f"Start it with `/`: `/{given}`."),
    MANIFEST: lambda _: (
        "not a manifest in this folder",
        "Write `needs/NAME.yaml`. NAME may contain up to 40 lowercase letters, digits and `-`. It must start with a"
        " letter and must not end with `-`.",
    ),
}


def in_words(pattern: str, given: str) -> tuple[str, str]:
    """Return the problem with a text that does not match, and the fix. Nobody should have to read the pattern."""
    words = _WORDS.get(pattern)
    return words(given) if words else ("not valid here", "See `greenroom schema`.")


def duration(value: Any, otherwise: str = "`3d` or `12h`") -> timedelta:
    """Parse a duration: `3d`, `12h`, `90m` or `30s`. `otherwise` holds the examples for the error message."""
    if isinstance(value, timedelta):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        raise ValueError(f"{value} has no unit. Write `{value}d`, `{value}h`, `{value}m` or `{value}s`.")
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if not match:
        shown = (
            f"{value!r} " if isinstance(value, str | float) else f"{value} ".lower() if value in (True, False) else ""
        )
        raise ValueError(
            f"{shown}is not a valid duration. Write a number followed by d, h, m or s, such as {otherwise}."
        )
    seconds = int(match[1][:12]) * _UNITS[match[2]]  # twelve digits already exceed the limit
    if seconds > LONGEST.total_seconds():
        never = ", or `never`" if "never" in otherwise else ""
        raise ValueError(f"{value!r} is longer than ten years. Write at most `{LONGEST.days}d`{never}.")
    return timedelta(seconds=seconds)


def duration_or_never(value: Any) -> timedelta | None:
    """Parse a duration. Return None for `never`."""
    return None if value == "never" else duration(value, "`3d`, or `never`")


def command(value: Any) -> tuple[str, ...]:
    """Return the arguments of a command. A string is split as a shell would split it; no shell ever runs."""
    if isinstance(value, str):
        try:
            return tuple(shlex.split(value))
        except ValueError:
            raise ValueError('a quote is not closed. Write a list, such as `[sh, -c, "..."]`.') from None
    if not isinstance(value, list | tuple):
        raise ValueError("is not a valid command. Write a list, such as `[python, server.py]`, or one string.")
    wrong = [v for v in value if not isinstance(v, str)]
    if wrong:
        shown = f"{wrong[0]}, which".lower() if isinstance(wrong[0], int | float) else "a value that"
        raise ValueError(f"contains {shown} is not a string. Put it in quotes.")
    return tuple(value)


def tag(value: Any) -> str:
    """Validate a tag template with `{sha}`, `{short_sha}` and `{number}`. It must have one of the first two."""
    if isinstance(value, dict) and len(value) == 1 and set(value) <= _TAG_FIELDS:
        field = f"{{{next(iter(value))}}}"
        raise ValueError(f'YAML reads `{field}` as a mapping. Quote the tag: `tag: "{field}"`.')
    if isinstance(value, dict | list):
        raise ValueError('is not a valid tag. Write one quoted string, such as `tag: "{sha}"`.')
    text = str(value)
    fields = set(re.findall(r"\{([^{}]*)\}", text))
    if unknown := fields - _TAG_FIELDS:
        raise ValueError(
            f"{text!r} contains the unknown field {{{min(unknown)}}}. Use {{sha}}, {{short_sha}} or {{number}}."
        )
    if set("{}") & set(re.sub(r"\{[^{}]*\}", "", text)):
        raise ValueError(f"{text!r} has an unmatched brace. Write complete fields, such as `pr-{{sha}}`.")
    if not fields & {"sha", "short_sha"}:
        raise ValueError(f"{text!r} is the same for every commit. Add {{sha}} or {{short_sha}} to it.")
    made = text.format(sha="a" * 40, short_sha="a" * 7, number=99999)
    if not _TAG.fullmatch(made):
        raise ValueError(
            f"{text!r} does not produce a valid tag. Use the letters a to z, digits, `_`, `.` and `-` around the"
            " fields, and do not start with `.` or `-`."
        )
    if len(made) > _TAG_LENGTH:
        raise ValueError(f"produces tags longer than {_TAG_LENGTH} characters. Shorten it.")
    return text


def image(value: Any) -> str:
    """Validate the name of an image. It begins with the registry's host and has no tag."""
    if not isinstance(value, str):
        raise ValueError("is not a valid image name. Write `registry.example.com/shop/catalog`.")
    bare = _bare(value)
    host = bare.split("/")[0]
    if "/" not in bare or ("." not in host and ":" not in host and host != "localhost"):
        likely = f"registry.example.com/{bare}"
        example = likely if _IMAGE.fullmatch(likely) else "registry.example.com/shop/catalog"
        raise ValueError(f"{value!r} has no registry host. Write the host first: `{example}`.")
    if bare != value:
        fix = f"Remove `{value[len(bare) :]}`." if bare == bare.lower() else f"Write `{bare.lower()}`, in lowercase."
        raise ValueError(f"{value!r} includes a tag, but the tag belongs under `tag:`. {fix}")
    if value != value.lower() and _IMAGE.fullmatch(value.lower()):
        raise ValueError(
            f"{value!r} contains uppercase letters, but image names are lowercase. Write `{value.lower()}`."
        )
    if not _IMAGE.fullmatch(value):
        raise ValueError(
            f"{value!r} is not a valid image name. Write `registry.example.com/shop/catalog` without a tag. See `tag:`."
        )
    if ":" in host and not is_port(host.partition(":")[2]):
        raise ValueError(f"{value!r} has an invalid port. Ports range from 1 to 65535.")
    return value


def _bare(image: str) -> str:
    """Return an image without its tag and digest."""
    path, _, last = image.partition("@")[0].rpartition("/")
    return f"{path}/{last.partition(':')[0]}" if path else last.partition(":")[0]


def url_alone(value: Any) -> Any:
    """Expand a string to a mapping with `url`: a whole address, or the variable that receives it."""
    return {"url": value} if isinstance(value, str) else value


def quantity_of_bytes(value: str) -> str:
    """Validate a Kubernetes quantity of bytes."""
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)?(k|M|G|T|Ki|Mi|Gi|Ti)?", value):
        raise ValueError(f"{value!r} is not a valid size. Write a size such as 512Mi or 2Gi.")
    return value


def quantity_of_cpu(value: str) -> str:
    """Validate a Kubernetes quantity of CPU."""
    if not re.fullmatch(r"[0-9]+m|[0-9]+(\.[0-9]+)?", value):
        raise ValueError(f"{value!r} is not a valid amount of CPU. Write an amount such as 500m, or 2 for two CPUs.")
    return value


def cron(value: str) -> str:
    """Validate a schedule. https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/#schedule-syntax"""
    if value and not _CRON.fullmatch(value):
        raise ValueError(f"{value!r} is not a valid schedule. Write five fields, such as `0 3 * * *`, or `@daily`.")
    return value


def _example(text: str) -> Any:
    return Field(json_schema_extra={"type": "string", "examples": [text]})


Duration = Annotated[timedelta, BeforeValidator(duration), _example("3d")]
DurationOrNever = Annotated[Duration | None, BeforeValidator(duration_or_never)]
Command = Annotated[tuple[str, ...], BeforeValidator(command)]
Tag = Annotated[str, BeforeValidator(tag)]
ImageName = Annotated[str, BeforeValidator(image)]
Bytes = Annotated[str, AfterValidator(quantity_of_bytes)]
Cpu = Annotated[str, AfterValidator(quantity_of_cpu)]
Schedule = Annotated[str, AfterValidator(cron)]

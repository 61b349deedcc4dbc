"""Field types that YAML files share: durations, commands, images; each refuses with a sentence that holds the fix."""

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
SOURCE = r"^([A-Z][A-Z0-9_]*)?$"  # the variables of Greenroom itself; narrow, for a token must not pass as a name
OPTIONAL_NAME = r"^([a-z]([a-z0-9-]*[a-z0-9])?)?$"
REPOSITORY = r"^[\w.-]+/[\w.-]+$"
PATH = r"^/"
MANIFEST = r"^needs/[a-z]([a-z0-9-]{0,38}[a-z0-9])?\.yaml$"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(\d+)([smhd])")
_TAG_FIELDS = {"sha", "short_sha", "number"}
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_TAG_LENGTH = 128
LONGEST = timedelta(days=3650)  # far below what dates can hold
_ONE = r"(\d{1,2}|[A-Za-z]{3})"
_PART = rf"(\*|\?|{_ONE}(-{_ONE})?)(/\d{{1,2}})?"
_CRON = re.compile(
    rf"@(hourly|daily|midnight|weekly|monthly|yearly|annually)|{_PART}(,{_PART})*( +{_PART}(,{_PART})*){{4}}"
)
_IMAGE = re.compile(r"[a-z0-9.-]+(:\d+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)+")


class Model(BaseModel):
    """A mapping in YAML: keys in camelCase as Kubernetes writes them, unknown ones refused."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, populate_by_name=False, frozen=True)


def named(text: str) -> str:
    """The name that somebody probably meant: `My_Web` is `my-web`."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-").lstrip("0123456789-")


def _name(given: str) -> tuple[str, str]:
    fix = f"Write `{named(given)}`: " if named(given) else "Use "
    return "no name", f"{fix}lower-case letters, digits and `-`, a letter first."


def _variable(given: str) -> tuple[str, str]:
    meant = re.sub(r"\W+", "_", given, flags=re.ASCII).strip("_").upper()
    fix = f"Write `{meant}`: " if re.match(VARIABLE, meant) else "Use "
    return "no name of a variable", f"{fix}letters, digits and `_`, no digit first."


def _repository(given: str) -> tuple[str, str]:
    url = re.search(r"[/:]([\w.-]+/[\w.-]+?)(\.git)?/?$", given) if "://" in given or "@" in given else None
    return "no repository", f"Write `{url[1] if url else 'owner/name'}`."


_WORDS: dict[str, Callable[[str], tuple[str, str]]] = {
    NAME: _name,
    OPTIONAL_NAME: _name,
    OBJECT: lambda _: ("no name of a Secret", "Use lower-case letters, digits, `-` and `.`."),
    VARIABLE: _variable,
    OPTIONAL: _variable,
    SOURCE: lambda _: ("no name of a variable", "Use upper-case letters, digits and `_`."),
    REPOSITORY: _repository,
    PATH: lambda given: ("no path", f"Begin it with `/`: `/{given}`."),
    MANIFEST: lambda _: ("no manifest of this folder", "Write `needs/NAME.yaml`, a name of lower-case letters."),
}


def in_words(pattern: str, given: str) -> tuple[str, str]:
    """What a text that does not match is not, and what to write: nobody should have to read a pattern."""
    words = _WORDS.get(pattern)
    return words(given) if words else ("not valid here", "See `greenroom schema`.")


def duration(value: Any, otherwise: str = "`3d` or `12h`") -> timedelta:
    """`3d`, `12h`, `90m` or `30s`. `otherwise` names what may be written."""
    if isinstance(value, timedelta):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        raise ValueError(f"{value} has no unit. Write `{value}d`, `{value}h`, `{value}m` or `{value}s`.")
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if not match:
        shown = (
            f"{value!r} " if isinstance(value, str | float) else f"{value} ".lower() if value in (True, False) else ""
        )
        raise ValueError(f"{shown}is no duration. Write a number and d, h, m or s, such as {otherwise}.")
    seconds = int(match[1][:12]) * _UNITS[match[2]]  # twelve digits are too many already
    if seconds > LONGEST.total_seconds():
        never = ", or `never`" if "never" in otherwise else ""
        raise ValueError(f"{value!r} is longer than ten years. Write at most `{LONGEST.days}d`{never}.")
    return timedelta(seconds=seconds)


def duration_or_never(value: Any) -> timedelta | None:
    """A duration, or `never` for none."""
    return None if value == "never" else duration(value, "`3d`, or `never`")


def command(value: Any) -> tuple[str, ...]:
    """A list of arguments, or a string that is split as a shell would; no shell ever runs."""
    if isinstance(value, str):
        try:
            return tuple(shlex.split(value))
        except ValueError:
            raise ValueError('a quote is not closed. Write a list, such as `[sh, -c, "..."]`.') from None
    if not isinstance(value, list | tuple):
        raise ValueError("is no command. Write a list such as `[python, server.py]`, or one string.")
    wrong = [v for v in value if not isinstance(v, str)]
    if wrong:
        shown = f"{wrong[0]} in it".lower() if isinstance(wrong[0], int | float) else "something in it"
        raise ValueError(f"{shown} is no text. Put it in quotes.")
    return tuple(value)


def tag(value: Any) -> str:
    """A tag template: `{sha}`, `{short_sha}` and `{number}` are filled in; one of the first two is needed."""
    if isinstance(value, dict) and len(value) == 1 and set(value) <= _TAG_FIELDS:
        field = f"{{{next(iter(value))}}}"
        raise ValueError(f'YAML reads `{field}` as a mapping. Quote it: `tag: "{field}"`.')
    if isinstance(value, dict | list):
        raise ValueError('is no tag. Write one text in quotes, such as `tag: "{sha}"`.')
    text = str(value)
    fields = set(re.findall(r"\{([^{}]*)\}", text))
    if unknown := fields - _TAG_FIELDS:
        raise ValueError(
            f"{text!r} holds {{{min(unknown)}}}, which is unknown. Use {{sha}}, {{short_sha}} or {{number}}."
        )
    if set("{}") & set(re.sub(r"\{[^{}]*\}", "", text)):
        raise ValueError(f"{text!r} has a brace that is alone. Write fields whole, such as `pr-{{sha}}`.")
    if not fields & {"sha", "short_sha"}:
        raise ValueError(f"{text!r} does not change with the commit. Put {{sha}} or {{short_sha}} in it.")
    made = text.format(sha="a" * 40, short_sha="a" * 7, number=99999)
    if not _TAG.fullmatch(made):
        raise ValueError(
            f"{text!r} makes no valid tag. Use the letters a to z, digits, `_`, `.` and `-` around the fields, and"
            " begin with none of the last two."
        )
    if len(made) > _TAG_LENGTH:
        raise ValueError(f"makes tags of more than {_TAG_LENGTH} characters. Shorten it.")
    return text


def image(value: Any) -> str:
    """An image without a tag, its registry's host first."""
    if not isinstance(value, str):
        raise ValueError("is no image. Write `registry.example.com/shop/catalog`.")
    bare = _bare(value)
    host = bare.split("/")[0]
    if "/" not in bare or ("." not in host and ":" not in host and host != "localhost"):
        likely = f"registry.example.com/{bare}"
        example = likely if _IMAGE.fullmatch(likely) else "registry.example.com/shop/catalog"
        raise ValueError(f"{value!r} names no registry. Write its host first: `{example}`.")
    if bare != value:
        fix = (
            f"Leave `{value[len(bare) :]}` out." if bare == bare.lower() else f"Write `{bare.lower()}`, in lower case."
        )
        raise ValueError(f"{value!r} names a tag; `tag:` says how CI tags it. {fix}")
    if value != value.lower() and _IMAGE.fullmatch(value.lower()):
        raise ValueError(f"{value!r} has upper case in it; image names are lower case. Write `{value.lower()}`.")
    if not _IMAGE.fullmatch(value):
        raise ValueError(f"{value!r} is no image without a tag. Write `registry.example.com/shop/catalog`; see `tag:`.")
    if ":" in host and not is_port(host.partition(":")[2]):
        raise ValueError(f"{value!r} has a port that cannot be. Ports are 1 to 65535.")
    return value


def _bare(image: str) -> str:
    """An image without its tag and digest."""
    path, _, last = image.partition("@")[0].rpartition("/")
    return f"{path}/{last.partition(':')[0]}" if path else last.partition(":")[0]


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
DurationOrNever = Annotated[Duration | None, BeforeValidator(duration_or_never)]
Command = Annotated[tuple[str, ...], BeforeValidator(command)]
Tag = Annotated[str, BeforeValidator(tag)]
ImageName = Annotated[str, BeforeValidator(image)]
Bytes = Annotated[str, AfterValidator(quantity_of_bytes)]
Cpu = Annotated[str, AfterValidator(quantity_of_cpu)]
Schedule = Annotated[str, AfterValidator(cron)]

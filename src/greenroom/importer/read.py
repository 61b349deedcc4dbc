"""Reader of a file to import, which detects its kind. Raises `FixConfiguration` with one sentence for bad input."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from greenroom.config import reading
from greenroom.config.fields import image
from greenroom.config.yaml_loader import MAX_BYTES, Unreadable
from greenroom.errors import FixConfiguration, Mistake
from greenroom.importer import compose, heroku
from greenroom.importer.documents import document
from greenroom.importer.draft import Draft, Options
from greenroom.importer.shapes import COMPOSE, HEROKU, mistakes

KNOWN = "a Compose file (docker-compose.yml), Heroku's app.json, or a Procfile"


def drafts(path: Path, options: Options) -> list[Draft]:
    """Return the drafts of a file. A Procfile and an app.json beside each other are read together."""
    _checked(options)
    text = _text(path)
    if path.name == "Procfile":
        app = path.with_name("app.json")
        return [heroku.draft(_app(app) if app.is_file() else {}, heroku.procfile(text), options)]
    if path.suffix == ".json":
        beside = path.with_name("Procfile")
        return [heroku.draft(_app(path), heroku.procfile(_text(beside)) if beside.is_file() else {}, options)]
    try:
        found = document(text, path.name)
    except Unreadable as error:
        raise FixConfiguration(str(error.mistake), (error.mistake,)) from None
    if not isinstance(found, dict) or not isinstance(found.get("services"), dict):
        raise _wrong(path, "contains no `services:`.", f"Pass {KNOWN}.")
    wrong = []
    for name, spec in found["services"].items():
        if isinstance(spec, dict):
            wrong += mistakes(path.name, f"services.{name}.", spec, COMPOSE)
        else:
            wrong.append(Mistake(path.name, f"services.{name}", "must be a mapping.", "Give it `image:` or `build:`."))
    _refuse(wrong)
    made = compose.drafts({str(name): spec for name, spec in found["services"].items()}, options)
    if not made:
        fix = "Add a `build:` to your own services. Third-party images become needs or manifests."
        if any(spec.get("extends") for spec in found["services"].values()):
            fix = "To include extended services, import the output of `docker compose config` instead."
        raise _wrong(path, "contains no long-running service that runs your own code.", fix)
    if found.get("include"):
        made[0].note(
            "`include` was left out, because only this file is read. Import the output of `docker compose config`"
            " instead."
        )
    return made


def _app(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(_text(path))
    except (ValueError, RecursionError) as error:
        where = f"line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise _wrong(path, "is not valid JSON.", "Fix the file, or pass another one.", where) from None
    if not isinstance(found, dict):
        raise _wrong(path, "must be a mapping.", f"Pass {KNOWN}.")
    _refuse(mistakes(path.name, "", found, HEROKU))
    if review := (found.get("environments") or {}).get("review"):
        _refuse(mistakes(path.name, "environments.review.", review, HEROKU))
    return found


def _checked(options: Options) -> None:
    """Refuse options that `greenroom check` would refuse in each draft."""
    wrong = []
    if options.repository and not re.fullmatch(r"[\w.-]+/[\w.-]+", options.repository):
        wrong.append(Mistake("--repository", "", "is not a valid GitHub repository.", "Write `owner/name`."))
    if options.image:
        try:
            image(options.image)
        except ValueError as error:
            wrong.append(Mistake("--image", "", str(error), ""))
    _refuse(wrong)


def _text(path: Path) -> str:
    try:
        content = reading.stream(path, MAX_BYTES)  # may be a pipe: `import <(docker compose config)`
        if len(content) > MAX_BYTES:
            raise _wrong(path, "is larger than a megabyte.", f"Pass {KNOWN}.")
        return content.decode("utf-8-sig")
    except FileNotFoundError:
        message = "the file does not exist."
    except IsADirectoryError:
        message = "is a folder, not a file."
    except UnicodeDecodeError:
        message = "is not UTF-8 text."
    except OSError as error:
        message = f"cannot be read ({(error.strerror or 'unknown').lower()})."
    mistake = Mistake(str(path), "", message, f"Pass {KNOWN}.")
    raise FixConfiguration(str(mistake), (mistake,))


def _refuse(wrong: list[Mistake]) -> None:
    if wrong:
        raise FixConfiguration("\n".join(map(str, wrong)), tuple(wrong))


def _wrong(path: Path, message: str, fix: str, where: str = "") -> FixConfiguration:
    mistake = Mistake(path.name, where, message, fix)
    return FixConfiguration(str(mistake), (mistake,))

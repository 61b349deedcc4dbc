"""Types that the keys of a Compose file and an app.json may have. Other keys are not checked."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from greenroom.errors import Mistake

Scalar = str | int | float | bool | date | datetime  # YAML reads 2026-01-31 as a date
Shapes = Mapping[str, tuple[TypeAdapter[Any], str]]


class Health(BaseModel):
    """Health check of a container in Compose."""

    test: str | list[str] | None = None


class Extends(BaseModel):
    """Reference to the service that another one extends."""

    service: str
    file: str | None = None


class Addon(BaseModel):
    """Heroku add-on, with the prefix of its variable's name."""

    plan: str
    name: str | None = Field(None, alias="as")
    options: dict[str, Any] | None = None


class Setting(BaseModel):
    """A variable of app.json."""

    value: Scalar | None = None


# https://github.com/compose-spec/compose-spec/blob/main/05-services.md
COMPOSE: Shapes = {
    "image": (TypeAdapter(str | None), "a text"),
    "build": (TypeAdapter(str | dict[Any, Any] | None), "a folder or a mapping"),
    "command": (TypeAdapter(str | list[Scalar] | None), "a string or a list"),
    "entrypoint": (TypeAdapter(str | list[Scalar] | None), "a string or a list"),
    "extends": (TypeAdapter(str | Extends | None), "a service, or `service:` and `file:`"),
    "environment": (TypeAdapter(dict[Any, Scalar | None] | list[Scalar] | None), "a mapping or a list of NAME=value"),
    "depends_on": (TypeAdapter(dict[Any, Any] | list[str] | None), "a list of services or a mapping"),
    "links": (TypeAdapter(list[str] | None), "a list of services"),
    "ports": (TypeAdapter(list[Scalar | dict[Any, Any]] | None), "a list of ports"),
    "expose": (TypeAdapter(list[Scalar] | None), "a list of ports"),
    "healthcheck": (TypeAdapter(Health | None), "a mapping whose `test` is a string or a list"),
    "deploy": (TypeAdapter(dict[Any, Any] | None), "a mapping"),
}
# https://devcenter.heroku.com/articles/app-json-schema
HEROKU: Shapes = {
    "name": (TypeAdapter(str | None), "a text"),
    "addons": (TypeAdapter(list[str | Addon] | None), "a list of add-ons"),
    "env": (TypeAdapter(dict[str, Scalar | Setting | None] | None), "a mapping of variables"),
    "formation": (TypeAdapter(dict[str, dict[str, Any]] | None), "a mapping of process types"),
    "scripts": (TypeAdapter(dict[str, str] | None), "a mapping of commands"),
    "environments": (TypeAdapter(dict[str, dict[str, Any]] | None), "a mapping of environments"),
}


def mistakes(file: str, where: str, found: Mapping[str, Any], shapes: Shapes) -> list[Mistake]:
    """Return a mistake for each key whose value has a type that this kind of file does not allow."""
    made = []
    for key, (shape, words) in shapes.items():
        try:
            shape.validate_python(found.get(key))
        except ValidationError:
            # the value may be a password, so the mistake does not repeat it
            made.append(Mistake(file, f"{where}{key}", "the value is not valid here.", f"Write {words}."))
    return made

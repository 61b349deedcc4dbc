"""Options and arguments that several commands share."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import click


class _Duration(click.ParamType[timedelta]):
    """A length of time as in the configuration."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        from greenroom.config.fields import duration

        try:
            return duration(value, "`10m` or `90s`")
        except ValueError as error:
            self.fail(str(error), param, ctx)


DURATION = _Duration()
ADMIN = click.option(
    "--admin",
    default="http://127.0.0.1:8083",
    envvar="GREENROOM_ADMIN",
    show_default=True,
    show_envvar=True,
    help="The admin address of the running instance.",
)
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
BY = click.option(
    "--by",
    default="",
    metavar="NAME",
    help="The name to record for the action. Default: your login name, or `the platform team` in a pod.",
)
FOLDER = click.argument("folder", type=click.Path(path_type=Path), default=Path())

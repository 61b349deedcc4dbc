"""Commands that ask the running Greenroom, over its admin port."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any

import click

from greenroom.cli.options import ADMIN, AS_JSON, BY, DURATION
from greenroom.errors import Failed

TIMED_OUT = 3


@click.command(name="list", short_help="List every preview, and the reason for its state.")
@click.option("--all", "everything", is_flag=True, help="Include open pull requests that do not request a preview.")
@ADMIN
@AS_JSON
def list_previews(everything: bool, admin: str, as_json: bool) -> None:
    """List every preview, and every pull request that waits for one, with the reason. JSON always lists all."""
    from greenroom.terminal import printing

    _print(_ask(admin, "/api/previews"), as_json, partial(printing.previews, width=_width(), everything=everything))


@click.command(short_help="Explain a preview's state, and what would change it.")
@click.argument("preview", metavar="REPO#N")
@ADMIN
@AS_JSON
def explain(preview: str, admin: str, as_json: bool) -> None:
    """Explain why this preview is in its state, since when, and what would change it."""
    from greenroom.terminal import printing

    [name] = _names((preview,), admin, services=True)
    repository, _, number = name.rpartition("#")
    answer = _ask(admin, f"/api/previews/{repository}/{number}")
    _print(answer, as_json, partial(printing.explained, width=_width()))


@click.command(short_help="Wait until a preview serves a commit.")
@click.argument("preview", metavar="REPO#N")
@click.option(
    "--commit",
    default="",
    metavar="SHA",
    help="The commit to wait for. Default: the newest commit that Greenroom has read.",
)
@click.option("--timeout", "patience", type=DURATION, default="10m", show_default=True, help="How long to wait.")
@ADMIN
@AS_JSON
def wait(preview: str, commit: str, patience: timedelta, admin: str, as_json: bool) -> None:
    """Wait until every service of the preview serves the images of a commit, and no others.

    Exit codes: 0 if it does, 1 if a newer commit superseded this one or if a push or a person is needed first, 3 after
    the timeout.
    """
    from greenroom.terminal import waiting

    if commit and not re.fullmatch(r"[0-9a-fA-F]{7,40}", commit):
        raise click.UsageError(f"{commit!r} is not a commit. Write 7 to 40 hexadecimal digits.")
    _names((preview,), admin, {"repositories": []})  # a name that is none is a mistake, whatever the instance answers

    def ask(again: bool) -> Any:
        known = _ask(admin, "/api/previews")["repositories"]
        [name] = _names((preview,), admin, {"repositories": known}, services=True)
        repository, _, number = name.rpartition("#")
        if all(r["read_at"] for r in known) and repository not in {r["name"] for r in known}:
            raise Failed(f"{name}: no such repository. Greenroom knows {', '.join(r['name'] for r in known)}.")
        query = {"commit": commit, "read": "again" if again else ""}
        return _ask(admin, f"/api/previews/{repository}/{number}/wait", query=query)

    answer = waiting.wait(ask, patience.total_seconds(), _progress)
    _print(answer, as_json, lambda found: str(found["why"]))
    sys.exit({"serving": 0, "failed": 1, "superseded": 1}.get(answer["outcome"], TIMED_OUT))


def _progress(text: str) -> None:
    click.echo(text, err=True)


@click.command(short_help="Show what would happen next, without changing anything.")
@ADMIN
@AS_JSON
def plan(admin: str, as_json: bool) -> None:
    """Show what the next pass would do, each action with its reason. Change nothing."""
    from greenroom.terminal import printing

    _print(_ask(admin, "/api/plan"), as_json, printing.planned)


@click.command(short_help="Release held changes, or list them.")
@click.argument("previews", nargs=-1, metavar="REPO#N...")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@BY
@ADMIN
@AS_JSON
def release(previews: tuple[str, ...], yes: bool, by: str, admin: str, as_json: bool) -> None:
    """Release exactly the held changes that are named. Without names, list the held changes."""
    from greenroom.terminal import printing

    answer = _ask(admin, "/api/previews")
    found = answer["previews"]
    held = {p["name"]: p for p in found if p["hold"]}
    if not previews:
        _print({"version": answer["version"], "held": list(held.values())}, as_json, printing.held)
        return
    names = _names(previews, admin, answer)
    now = ", ".join(sorted(held)) or "nothing"
    if unknown := [n for n in names if n not in {p["name"] for p in found}]:
        missing = f"{', '.join(unknown)}: no such preview, so nothing was released."
        raise Failed(f"{missing} Held now: {now}.")
    if free := [n for n in names if n not in held]:
        raise Failed(f"{', '.join(free)}: not held, so nothing was released. Held now: {now}.")
    for name in [] if as_json else names:
        click.echo(f"{name}: {held[name]['reason']['text']}")
    if not yes:
        if not sys.stdin.isatty():
            command = f"greenroom release {' '.join(names)} --yes"
            raise click.UsageError(f"Confirmation needs a terminal. To release without one, run: {command}")
        click.confirm(f"Release {', '.join(names)}?", abort=True, err=True)
    seen = {name: held[name]["hold"] for name in names}  # release exactly what was read
    answer = _ask(admin, "/api/release", {"previews": names, "holds": seen, "by": _who(by)})
    _print(answer, as_json, printing.released)


@click.command(short_help="Update previews to the current chart, settings and images.")
@click.argument("previews", nargs=-1, required=True, metavar="REPO#N...")
@BY
@ADMIN
@AS_JSON
def redeploy(previews: tuple[str, ...], by: str, admin: str, as_json: bool) -> None:
    """Redeploy these previews with the current chart, settings and images without waiting for their next push.

    Their pods may restart.
    """
    from greenroom.terminal import printing

    answer = _ask(admin, "/api/redeploy", {"previews": _names(previews, admin), "by": _who(by)})
    _print(answer, as_json, printing.redeployed)


@click.command(short_help="Point a preview's link at another preview or at staging.")
@click.argument("preview", metavar="REPO#N")
@click.argument("target", nargs=-1, required=True, metavar="SERVICE#N | SERVICE staging | SERVICE default")
@BY
@ADMIN
@AS_JSON
def use(preview: str, target: tuple[str, ...], by: str, admin: str, as_json: bool) -> None:
    """Point a link of this preview at another preview, at staging, or back at its default.

    A comment `/preview use` on the pull request does the same.

    Exit with 1 if the link was not changed: the choice is not saved yet, or the chosen pull request has no preview.
    """
    from greenroom.terminal import printing

    [name] = _names((preview,), admin)
    answer = _ask(admin, "/api/use", {"preview": name, "target": " ".join(target), "by": _who(by)})
    _print(answer, as_json, printing.used)
    if not answer["done"] or answer["waits"]:
        sys.exit(1)


@click.command(short_help="Delete a preview's data and start over.")
@click.argument("preview", metavar="REPO#N")
@click.option("--reseed", is_flag=True, help="Start from the newest seed instead of the preview's current seed.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@BY
@ADMIN
@AS_JSON
def reset(preview: str, reseed: bool, yes: bool, by: str, admin: str, as_json: bool) -> None:
    """Delete the data in a preview's databases and queues, and start over.

    The comments `/preview reset` and `/preview reseed` on the pull request do the same. Services restart, and
    migrations run again.

    Exit with 1 if the command is not saved yet.
    """
    from greenroom.terminal import printing

    [name] = _names((preview,), admin)
    if not yes:
        click.confirm(f"Delete the data of {name}?", abort=True)
    action = "reseed" if reseed else "reset"
    answer = _ask(admin, "/api/reset", {"preview": name, "action": action, "by": _who(by)})
    _print(answer, as_json, printing.used)
    if not answer["done"]:
        sys.exit(1)


@click.command(short_help="Show which previews use which services, and why.")
@ADMIN
@AS_JSON
def graph(admin: str, as_json: bool) -> None:
    """Show which previews use each other or staging, and the reason for each link."""
    from greenroom.terminal import printing

    _print(_ask(admin, "/api/graph"), as_json, printing.graph)


@click.command(short_help="List objects without a preview. May delete namespaces.")
@ADMIN
@AS_JSON
def orphans(admin: str, as_json: bool) -> None:
    """List objects that belong to no preview, without waiting for the hourly sweep.

    With `argocd.sweep: delete`, also delete namespaces that have been orphaned for half an hour.
    """
    from greenroom.terminal import printing

    _print(_ask(admin, "/api/orphans", {}), as_json, printing.orphans)


def _names(
    previews: tuple[str, ...], admin: str, answer: dict[str, Any] | None = None, *, services: bool = False
) -> list[str]:
    """Return the names of these previews without duplicates. Raise a usage error for an invalid name.

    `answer` is the admin port's list of previews, if it has already been read.
    """
    from greenroom.terminal import references

    found = {preview: references.parsed(preview) for preview in previews}
    for preview, reference in found.items():
        if reference is None:
            raise click.UsageError(
                f"{preview!r} does not name a pull request. Write shop#42, owner/shop#42 or the pull request's address."
            )
    known = (answer or _ask(admin, "/api/previews"))["repositories"]
    return list(dict.fromkeys(references.resolved(r, known, services=services) for r in found.values() if r))


def _who(by: str) -> str:
    """Return who asks, for the record. The comment shows it to people, and a pod's name means nothing to them."""
    import getpass
    import os

    if by:
        return by
    if os.environ.get("KUBERNETES_SERVICE_HOST"):
        return "the platform team"
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "an unknown user"


def _width() -> int | None:
    """Return the width to which lines are cut; None in a pipe, where they stay whole."""
    import shutil

    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def _print(answer: Any, as_json: bool, text: Callable[[Any], str]) -> None:
    click.echo(json.dumps(answer, indent=2) if as_json else text(answer))


def _ask(admin: str, path: str, body: dict[str, Any] | None = None, query: Mapping[str, str] | None = None) -> Any:
    from greenroom.terminal import client

    return client.ask(admin, path, body, query)


COMMANDS = (list_previews, explain, wait, plan, release, redeploy, use, reset, graph, orphans)

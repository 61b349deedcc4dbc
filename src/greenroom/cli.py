"""The command line. Imports are lazy, so that `--help` and a typing mistake answer at once.

Exit codes: 0 done, 1 failed, 2 the configuration or the call is wrong, 130 interrupted. Errors go to stderr.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import click

from greenroom.errors import Failed, FixConfiguration, GreenroomError

ABOUT = """A preview environment for every pull request that asks for one.

\b
The five commands that matter:
  greenroom demo                watch the whole life of previews on this machine
  greenroom check FOLDER        is the configuration right?
  greenroom serve FOLDER        run it
  greenroom list                every preview, and why it is as it is
  greenroom explain shop#42     why is this one as it is, and what would change it?
"""

ADMIN = click.option(
    "--admin",
    default="http://127.0.0.1:8083",
    envvar="GREENROOM_ADMIN",
    show_default=True,
    show_envvar=True,
    help="The admin address of the running instance.",
)
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON for a machine.")
FOLDER = click.argument("folder", type=click.Path(path_type=Path), default=Path())


class _Group(click.Group):
    """Turns our errors into one sentence on stderr and the exit code that belongs to them."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except FixConfiguration as error:
            from greenroom import config

            _fail(config.report(error), error.exit_code)
        except GreenroomError as error:
            _fail(str(error), error.exit_code)


def _fail(text: str, code: int) -> NoReturn:
    click.echo(text, err=True)
    sys.exit(code)


@click.group(cls=_Group, help=ABOUT, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def main() -> None:
    """The entry point of the `greenroom` program."""


@main.command()
def version() -> None:
    """Print the version."""
    from importlib.metadata import version as installed

    click.echo(installed("greenroom"))


@main.command()
@FOLDER
@AS_JSON
def check(folder: Path, as_json: bool) -> None:
    """Read the configuration in FOLDER and say everything that is wrong with it."""
    from greenroom import config
    from greenroom.core.text import counted

    try:
        loaded = config.load(folder)
    except FixConfiguration as error:
        if not as_json:
            raise
        mistakes = [{"file": m.file, "path": m.path, "message": m.message, "fix": m.fix} for m in error.mistakes]
        click.echo(json.dumps({"ok": False, "mistakes": mistakes}))
        sys.exit(error.exit_code)
    repositories = loaded.platform.repositories
    services = sum(len(r.services) for r in repositories)
    if as_json:
        click.echo(json.dumps({"ok": True, "repositories": len(repositories), "services": services}))
    else:
        click.echo(f"ok: {counted(services, 'service')} in {counted(len(repositories), 'repository', 'repositories')}")


@main.command(name="import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", default="", help="The service's name, where the file holds one.")
@click.option("--repository", default="", metavar="OWNER/NAME", help="Its GitHub repository.")
@click.option("--image", default="", help="The image that CI pushes, without a tag.")
@click.option("--write", type=click.Path(path_type=Path), help="Write the drafts into this folder, over no file.")
def import_(file: Path, name: str, repository: str, image: str, write: Path | None) -> None:
    """Draft services/*.yaml from a docker-compose.yml, a Procfile or Heroku's app.json; the rest is told."""
    from greenroom import importer

    made = importer.drafts(file, importer.Options(name, repository, image))
    for draft in made:
        target = write / f"{draft.name}.yaml" if write else None
        if target and target.exists():
            raise Failed(f"{target} exists already; nothing was written over it. Remove it, or write elsewhere.")
        for note in draft.notes:
            click.echo(f"{draft.name}: {note}", err=True)
        if target is None:
            click.echo(f"---\n{importer.written(draft)}" if len(made) > 1 else importer.written(draft), nl=False)
    if write:
        write.mkdir(parents=True, exist_ok=True)
        for draft in made:
            (write / f"{draft.name}.yaml").write_text(importer.written(draft))
            click.echo(f"{write / draft.name}.yaml")


@main.command()
@click.argument("which", type=click.Choice(["greenroom", "service"]), default="greenroom")
def schema(which: str) -> None:
    """Print the JSON Schema of greenroom.yaml, or of a service file."""
    from greenroom import config

    click.echo(json.dumps(config.json_schema()[which], indent=2))


@main.command()
@FOLDER
def serve(folder: Path) -> None:
    """Run Greenroom with the configuration in FOLDER until it is told to stop (SIGTERM or Ctrl-C)."""
    import asyncio

    from greenroom import wire

    sys.exit(asyncio.run(wire.serve(folder)))


@main.command()
@FOLDER
@click.option("--without-gates", is_flag=True, help="Yes, I have read what this mode does not do.")
def render(folder: Path, without_gates: bool) -> None:
    """Print ApplicationSets, project and policy for git: previews without a controller, and without its gates."""
    from greenroom import wire
    from greenroom.argocd.render import RESTRICTIONS

    text = wire.render(folder)
    for line in RESTRICTIONS:
        click.echo(f"without the controller: {line}", err=True)
    if not without_gates:
        raise click.UsageError("Nothing was printed. If you can live with that, say --without-gates.")
    click.echo(text, nl=False)


@main.command()
@FOLDER
def migrate(folder: Path) -> None:
    """Bring the history database of the configuration in FOLDER to this version."""
    import asyncio

    from greenroom import wire

    click.echo(asyncio.run(wire.migrate(folder)))


@main.command()
@click.option("--keep", is_flag=True, help="Leave it running at the end and print the dashboard's address.")
@AS_JSON
@click.option(
    "--state", type=click.Path(path_type=Path), help="Where the demo keeps its files (default: a new folder)."
)
def demo(keep: bool, as_json: bool, state: Path | None) -> None:
    """Play the whole life of previews on this machine: a real shop, a simulated GitHub, everything else real."""
    import asyncio

    try:
        from greenroom import demo as play
    except ImportError as error:
        raise Failed(
            f"The demo needs the extra `demo` ({error.name} is missing): pip install 'greenroom[demo]'."
        ) from None
    try:
        sys.exit(asyncio.run(play.play(play.Options(keep=keep, as_json=as_json, state=state))))
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit(130)


@main.command(name="list")
@ADMIN
@AS_JSON
def list_previews(admin: str, as_json: bool) -> None:
    """Every pull request with a preview, or with a reason why it has none."""
    from greenroom.terminal import printing

    previews = _ask(admin, "/api/previews")
    _print(previews, as_json, printing.previews)


@main.command()
@click.argument("preview", metavar="REPO#N")
@ADMIN
@AS_JSON
def explain(preview: str, admin: str, as_json: bool) -> None:
    """Why is this preview as it is, since when, and what would change it?"""
    from greenroom.terminal import printing

    repository, number = _named(preview)
    answer = _ask(admin, f"/api/previews/{repository}/{number}")
    _print(answer, as_json, printing.explained)


@main.command()
@ADMIN
@AS_JSON
def plan(admin: str, as_json: bool) -> None:
    """What the next pass would do, each action with its reason. Changes nothing."""
    from greenroom.terminal import printing

    _print(_ask(admin, "/api/plan"), as_json, printing.planned)


@main.command()
@click.argument("previews", nargs=-1, metavar="REPO#N...")
@click.option("--yes", is_flag=True, help="Do not ask.")
@ADMIN
@AS_JSON
def release(previews: tuple[str, ...], yes: bool, admin: str, as_json: bool) -> None:
    """Let held changes through: exactly those named. Without names, list what is held."""
    from greenroom.terminal import printing

    held = [p for p in _ask(admin, "/api/previews")["previews"] if p["hold"]]
    if not previews:
        _print({"held": held}, as_json, printing.held)
        return
    names = ["#".join((r, str(n))) for r, n in map(_named, previews)]
    for each in held:
        if each["name"] in names and not as_json:
            click.echo(f"{each['name']}: {each['reason']['text']}")
    if not yes and not as_json:
        click.confirm(f"Release {', '.join(names)}?", abort=True, err=True)
    answer = _ask(admin, "/api/release", {"previews": names, "by": _who()})
    _print(answer, as_json, printing.released)


@main.command()
@click.argument("previews", nargs=-1, required=True, metavar="REPO#N...")
@ADMIN
@AS_JSON
def roll(previews: tuple[str, ...], admin: str, as_json: bool) -> None:
    """Let these previews take the present chart and settings now, not with their next push. Their pods may restart."""
    from greenroom.terminal import printing

    names = ["#".join((r, str(n))) for r, n in map(_named, previews)]
    _print(_ask(admin, "/api/roll", {"previews": names, "by": _who()}), as_json, printing.rolled)


@main.command()
@click.argument("preview", metavar="REPO#N")
@click.argument("target", nargs=-1, required=True, metavar="SERVICE#N | SERVICE staging | SERVICE default")
@ADMIN
@AS_JSON
def use(preview: str, target: tuple[str, ...], admin: str, as_json: bool) -> None:
    """Point a service that this preview uses to another preview, to staging, or back; as `/preview use` does."""
    from greenroom.terminal import printing

    repository, number = _named(preview)
    answer = _ask(admin, "/api/use", {"preview": f"{repository}#{number}", "target": " ".join(target), "by": _who()})
    _print(answer, as_json, printing.used)


@main.command()
@ADMIN
@AS_JSON
def graph(admin: str, as_json: bool) -> None:
    """Who uses what of whom: previews, staging, and why each link leads where it does."""
    from greenroom.terminal import printing

    _print(_ask(admin, "/api/graph"), as_json, printing.graph)


@main.command()
@ADMIN
@AS_JSON
def sweep(admin: str, as_json: bool) -> None:
    """Look now for what belongs to no preview; `argocd.sweep: delete` deletes what is seen for half an hour."""
    from greenroom.terminal import printing

    _print(_ask(admin, "/api/sweep", {}), as_json, printing.swept)


@main.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of a shell: `greenroom completion bash >> ~/.bashrc`."""
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    if found is None:
        raise Failed(f"There is no completion for {shell}.")
    click.echo(found(main, {}, "greenroom", "_GREENROOM_COMPLETE").source())


def _named(preview: str) -> tuple[str, int]:
    repository, found, number = preview.partition("#")
    if not (found and repository and number.isdecimal()):
        raise click.UsageError(
            f"{preview!r} names no preview. Write the repository's short name and a number: shop#42."
        )
    return repository, int(number)


def _who() -> str:
    """Who asks, for the record: the user's name, or what a container without one is called."""
    import getpass
    import socket

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"somebody at {socket.gethostname()}"


def _print(answer: Any, as_json: bool, text: Callable[[Any], str]) -> None:
    click.echo(json.dumps(answer, indent=2) if as_json else text(answer))


def _ask(admin: str, path: str, body: dict[str, Any] | None = None) -> Any:
    from greenroom.terminal import client

    return client.ask(admin, path, body)

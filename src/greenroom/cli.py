"""The command line. Imports are lazy, so that `--help` and typing mistakes get an immediate answer.

Exit codes: 0 done, 1 failed, 2 the configuration or the call is wrong, 130 interrupted. Errors go to stderr.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import click

from greenroom.errors import Failed, FixConfiguration, GreenroomError

ABOUT = """A preview environment for every pull request that asks for one.

\b
The five main commands:
  greenroom demo              watch the full life of previews on this machine
  greenroom check FOLDER      report every mistake in the configuration
  greenroom serve FOLDER      run Greenroom
  greenroom list              list every preview, and the reason for its state
  greenroom explain shop#42   explain its state, and what would change it
"""

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
    help="Your name for the record. Default: your login name, or `the platform team` in a pod.",
)
FOLDER = click.argument("folder", type=click.Path(path_type=Path), default=Path())


class _Group(click.Group):
    """A group that turns our errors into one sentence on stderr and their exit code. An interruption exits with 130."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            sys.exit(130)
        except click.Abort as error:  # the user answered a question with no, or pressed Ctrl-C
            if isinstance(error.__context__, KeyboardInterrupt):
                sys.exit(130)
            raise
        except FixConfiguration as error:
            from greenroom import config

            _fail(config.report(error), error.exit_code)
        except GreenroomError as error:
            _fail(str(error), error.exit_code)


def _fail(text: str, code: int) -> NoReturn:
    click.echo(text, err=True)
    sys.exit(code)


@click.group(
    cls=_Group,
    help=ABOUT,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
    invoke_without_command=True,
    subcommand_metavar="COMMAND [ARGS]...",
)
@click.version_option(package_name="greenroom", message="greenroom %(version)s")
@click.pass_context
def main(ctx: click.Context) -> None:
    """Run the `greenroom` program."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


@main.command(short_help="Print the version.")
def version() -> None:
    """Print the version."""
    from importlib.metadata import version as installed

    click.echo(installed("greenroom"))


@main.command(short_help="Report every mistake in a configuration.")
@FOLDER
@AS_JSON
def check(folder: Path, as_json: bool) -> None:
    """Read the configuration in FOLDER and report every mistake in it."""
    from dataclasses import asdict

    from greenroom import config
    from greenroom.core.comment.sanitize import counted

    try:
        from greenroom.local import survey as machine
    except ModuleNotFoundError as error:
        if error.name != "greenroom.local":
            raise
        machine = None  # type: ignore[assignment]  # the image for clusters does not contain the local engine
    try:
        loaded = config.load(folder, machine)
    except FixConfiguration as error:
        if not as_json:
            raise
        told = {"mistakes": list(map(asdict, error.mistakes)), "warnings": list(map(asdict, error.warnings))}
        click.echo(json.dumps({"version": 1, "ok": False, **told}))
        sys.exit(error.exit_code)
    repositories = loaded.platform.repositories
    services = sum(len(r.services) for r in repositories)
    if as_json:
        warnings = list(map(asdict, loaded.warnings))
        counts = {"repositories": len(repositories), "services": services}
        shorts = {r.slug: r.name for r in repositories}
        found = {**counts, "short_names": shorts, "mistakes": [], "warnings": warnings}
        click.echo(json.dumps({"version": 1, "ok": True, **found}))
    else:
        for line in config.warned(loaded.warnings):
            click.echo(line, err=True)
        click.echo(f"ok: {counted(services, 'service')} in {counted(len(repositories), 'repository', 'repositories')}")
        for repository in repositories:
            if repository.name != repository.slug.rpartition("/")[2]:
                click.echo(f"{repository.slug} is called {repository.name} in commands: {repository.name}#42")


@main.command(short_help="Print a configuration as Helm values.")
@FOLDER
def values(folder: Path) -> None:
    """Check the configuration in FOLDER and print it as Helm values for charts/greenroom.

    Comments are left out, and so are `local`, `listen`, `state` and `reader`, which the chart sets for its pod.

    \b
    greenroom values FOLDER | helm upgrade --install greenroom charts/greenroom \\
      -n greenroom -f values.yaml -f -
    """
    from greenroom import config

    for line in config.warned(config.load(folder).warnings):
        click.echo(line, err=True)
    click.echo(config.helm_values(folder), nl=False)


@main.command(name="import", short_help="Draft services from Compose, a Procfile or app.json.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", default="", help="The service's name, if the file contains only one service.")
@click.option("--repository", default="", metavar="OWNER/NAME", help="Its GitHub repository.")
@click.option("--image", default="", help="The image that CI pushes, without a tag.")
@click.option(
    "--write",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write the drafts into this folder. Never overwrite a file.",
)
def import_(file: Path, name: str, repository: str, image: str, write: Path | None) -> None:
    """Draft services/*.yaml from a docker-compose.yml, a Procfile or Heroku's app.json. Print notes on the rest."""
    try:
        from greenroom import importer
    except ImportError as error:
        raise _left_out("`greenroom import`", error) from None
    made = importer.drafts(file, importer.Options(name, repository, image))
    texts = {f"{draft.name}.yaml": importer.written(draft) for draft in made}
    taken = [write / name for name in texts if write and (write / name).exists()]
    if taken:
        raise Failed(f"{taken[0]} already exists, so nothing was written. Remove it, or choose another folder.")
    for draft in made:
        for note in draft.notes:
            click.echo(f"{draft.name}: {note}", err=True)
    if write is None:
        click.echo("---\n".join(["", *texts.values()] if len(made) > 1 else texts.values()), nl=False)
        return
    try:
        write.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            with (write / name).open("x") as target:
                target.write(text)
            click.echo(write / name)
    except OSError as error:
        raise Failed(
            f"Cannot write to {write} ({(error.strerror or 'unknown').lower()}). Choose another folder."
        ) from None


@main.command(short_help="Print the JSON Schema for your editor.")
@click.argument("which", type=click.Choice(["greenroom", "service"]), default="greenroom")
def schema(which: str) -> None:
    """Print the JSON Schema of greenroom.yaml, or of a service file."""
    from greenroom import config

    click.echo(json.dumps(config.json_schema()[which], indent=2))


@main.command(short_help="Run Greenroom until it is stopped.")
@FOLDER
def serve(folder: Path) -> None:
    """Run Greenroom with the configuration in FOLDER until SIGTERM or Ctrl-C."""
    import asyncio

    from greenroom import bootstrap

    sys.exit(asyncio.run(bootstrap.serve(folder)))


@main.command(short_help="Print manifests for Git: previews without a controller.")
@FOLDER
@click.option("--without-gates", is_flag=True, help="Confirm that you have read the limits of this mode.")
@click.option(
    "--before-3.3", "old", is_flag=True, help="For Argo CD before 3.3, whose projects cannot restrict namespaces."
)
def render(folder: Path, without_gates: bool, old: bool) -> None:
    """Print ApplicationSets, project and policies for git: previews without a controller, and without its gates."""
    from greenroom import bootstrap
    from greenroom.argocd.render import RESTRICTIONS

    text = bootstrap.render(folder, namespace_names=not old)
    for line in RESTRICTIONS:
        click.echo(f"without the controller: {line}", err=True)
    if not without_gates:
        raise click.UsageError("Nothing was printed. To accept these limits, pass --without-gates.")
    click.echo(text, nl=False)


@main.command(short_help="Migrate the history database to this version.")
@FOLDER
def migrate(folder: Path) -> None:
    """Migrate the history database of the configuration in FOLDER to this version."""
    import asyncio

    from greenroom import bootstrap

    click.echo(asyncio.run(bootstrap.migrate(folder)))


@main.command(short_help="Watch the full life of previews on this machine.")
@click.option("--keep", is_flag=True, help="Keep it running at the end and print the dashboard's address.")
@AS_JSON
@click.option(
    "--state", type=click.Path(path_type=Path), help="Where the demo keeps its files (default: a new folder)."
)
def demo(keep: bool, as_json: bool, state: Path | None) -> None:
    """Run the full life of previews on this machine, with a real shop. Only GitHub is simulated."""
    import asyncio

    try:
        from greenroom import demo as play
    except ImportError as error:
        raise _left_out("`greenroom demo`", error) from None
    try:
        sys.exit(asyncio.run(play.play(play.Options(keep=keep, as_json=as_json, state=state))))
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit(130)


def _left_out(command: str, error: ImportError) -> Failed:
    """Return why a command is not available in this installation."""
    if (error.name or "").startswith("greenroom"):
        return Failed(f"This image is for clusters and does not contain {command}. Run it from a clone of Greenroom.")
    return Failed(f"{command} needs the extra `demo` ({error.name} is missing): pip install 'greenroom[demo]'.")


@main.command(short_help="Simulate GitHub and a registry for your own checkouts.")
@FOLDER
def simulate(folder: Path) -> None:
    """Simulate GitHub and a registry for the checkouts of the configuration in FOLDER, until Ctrl-C.

    `greenroom serve FOLDER` then runs previews of your own branches on this machine. See docs/local.md.
    """
    import asyncio

    try:
        from greenroom import simulate as simulation
    except ImportError as error:
        raise _left_out("`greenroom simulate`", error) from None
    asyncio.run(simulation.simulate(folder, click.echo))


@main.command(name="list", short_help="List every preview, and the reason for its state.")
@click.option("--all", "everything", is_flag=True, help="Include open pull requests without a preview.")
@ADMIN
@AS_JSON
def list_previews(everything: bool, admin: str, as_json: bool) -> None:
    """List every preview, and every pull request that waits for one, with the reason. JSON always lists all."""
    from greenroom.terminal import printing

    _print(_ask(admin, "/api/previews"), as_json, partial(printing.previews, width=_width(), everything=everything))


@main.command(short_help="Explain a preview's state, and what would change it.")
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


@main.command(short_help="Show what would happen next, without changing anything.")
@ADMIN
@AS_JSON
def plan(admin: str, as_json: bool) -> None:
    """Show what the next pass would do, each action with its reason. Change nothing."""
    from greenroom.terminal import printing

    _print(_ask(admin, "/api/plan"), as_json, printing.planned)


@main.command(short_help="Release held changes, or list them.")
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


@main.command(short_help="Redeploy with the current chart, settings and images.")
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


@main.command(short_help="Point a preview to the preview of another pull request.")
@click.argument("preview", metavar="REPO#N")
@click.argument("target", nargs=-1, required=True, metavar="SERVICE#N | SERVICE staging | SERVICE default")
@BY
@ADMIN
@AS_JSON
def use(preview: str, target: tuple[str, ...], by: str, admin: str, as_json: bool) -> None:
    """Point a service that this preview uses to another preview, to staging, or back, as `/preview use` does.

    Exit with 1 if the link has not moved: the choice is not saved yet, or the chosen pull request has no preview.
    """
    from greenroom.terminal import printing

    [name] = _names((preview,), admin)
    answer = _ask(admin, "/api/use", {"preview": name, "target": " ".join(target), "by": _who(by)})
    _print(answer, as_json, printing.used)
    if not answer["done"] or answer["waits"]:
        sys.exit(1)


@main.command(short_help="Show which previews use which services, and why.")
@ADMIN
@AS_JSON
def graph(admin: str, as_json: bool) -> None:
    """Show which previews use each other or staging, and the reason for each link."""
    from greenroom.terminal import printing

    _print(_ask(admin, "/api/graph"), as_json, printing.graph)


@main.command(short_help="Find labeled objects that belong to no preview.")
@ADMIN
@AS_JSON
def orphans(admin: str, as_json: bool) -> None:
    """Look now for objects that belong to no preview. `argocd.sweep: delete` deletes those seen for half an hour."""
    from greenroom.terminal import printing

    _print(_ask(admin, "/api/orphans", {}), as_json, printing.swept)


@main.command(short_help="Print the completion script for a shell.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script for a shell: `greenroom completion bash >> ~/.bashrc`."""
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    if found is None:
        raise Failed(f"Completion is not available for {shell}.")
    click.echo(found(main, {}, "greenroom", "_GREENROOM_COMPLETE").source())


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


def _ask(admin: str, path: str, body: dict[str, Any] | None = None) -> Any:
    from greenroom.terminal import client

    return client.ask(admin, path, body)

"""Commands that read files and print: the configuration, what can be imported into it, and what follows from it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from greenroom.cli.left_out import left_out
from greenroom.cli.options import AS_JSON, FOLDER
from greenroom.errors import Failed, FixConfiguration


@click.command(short_help="Report every mistake in a configuration.")
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


@click.command(short_help="Print a configuration as Helm values.")
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


@click.command(name="import", short_help="Draft service files from Compose, a Procfile or app.json.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", default="", help="The service's name. Ignored if the file contains more than one code base.")
@click.option("--repository", default="", metavar="OWNER/NAME", help="The GitHub repository of the services.")
@click.option("--image", default="", help="The image that CI pushes, without a tag.")
@click.option(
    "--write",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write the drafts to this folder. Existing files are never overwritten.",
)
def import_(file: Path, name: str, repository: str, image: str, write: Path | None) -> None:
    """Draft services/*.yaml from a docker-compose.yml, a Procfile or Heroku's app.json. Print notes on the rest."""
    try:
        from greenroom import importer
    except ImportError as error:
        raise left_out("`greenroom import`", error) from None
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
            f"Cannot write to {write} ({(error.strerror or 'unknown').lower()}). Fix the cause, or pass another folder"
            " to `--write`."
        ) from None


@click.command(short_help="Print the JSON Schema of the configuration, for your editor.")
@click.argument("which", type=click.Choice(["greenroom", "service"]), default="greenroom")
def schema(which: str) -> None:
    """Print the JSON Schema of greenroom.yaml, or of a service file."""
    from greenroom import config

    click.echo(json.dumps(config.json_schema()[which], indent=2))


@click.command(short_help="Print manifests that create previews without the controller.")
@FOLDER
@click.option(
    "--without-gates", is_flag=True, help="Accept the limitations that this command lists, and print the manifests."
)
@click.option(
    "--before-3.3",
    "old",
    is_flag=True,
    help="Support Argo CD versions before 3.3, whose projects cannot restrict namespace names.",
)
def render(folder: Path, without_gates: bool, old: bool) -> None:
    """Print manifests to commit to git. They create previews without the controller, and without its gates."""
    from greenroom import bootstrap
    from greenroom.argocd.render import RESTRICTIONS

    text = bootstrap.render(folder, namespace_names=not old)
    for line in RESTRICTIONS:
        click.echo(f"without the controller: {line}", err=True)
    if not without_gates:
        raise click.UsageError("No manifests were printed. To accept the limitations, pass --without-gates.")
    click.echo(text, nl=False)


COMMANDS = (check, values, import_, schema, render)

"""Commands that run Greenroom, or what stands in for GitHub, in this process."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from greenroom.cli.left_out import left_out
from greenroom.cli.options import AS_JSON, FOLDER


@click.command(short_help="Run Greenroom until it is stopped.")
@FOLDER
def serve(folder: Path) -> None:
    """Run Greenroom with the configuration in FOLDER until SIGTERM or Ctrl-C."""
    import asyncio

    from greenroom import bootstrap

    sys.exit(asyncio.run(bootstrap.serve(folder)))


@click.command(short_help="Migrate the history database to this version of Greenroom.")
@FOLDER
def migrate(folder: Path) -> None:
    """Migrate the history database of the configuration in FOLDER to this version of Greenroom."""
    import asyncio

    from greenroom import bootstrap

    click.echo(asyncio.run(bootstrap.migrate(folder)))


@click.command(short_help="Run a demo of the full preview lifecycle on this machine.")
@click.option("--keep", is_flag=True, help="Keep the demo running at the end, and print the dashboard's address.")
@AS_JSON
@click.option(
    "--state", type=click.Path(path_type=Path), help="The folder for the demo's files. Default: a new folder."
)
def demo(keep: bool, as_json: bool, state: Path | None) -> None:
    """Run a demo of the full preview lifecycle on this machine, with a real shop. GitHub and CI are simulated."""
    import asyncio

    try:
        from greenroom import demo as play
    except ImportError as error:
        raise left_out("`greenroom demo`", error) from None
    try:
        sys.exit(asyncio.run(play.play(play.Options(keep=keep, as_json=as_json, state=state))))
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit(130)


@click.command(short_help="Simulate GitHub and a registry for your own checkouts.")
@FOLDER
def simulate(folder: Path) -> None:
    """Simulate GitHub and a registry for the checkouts of the configuration in FOLDER, until Ctrl-C.

    `greenroom serve FOLDER` then runs previews of your own branches on this machine. See docs/local.md.
    """
    import asyncio

    try:
        from greenroom import simulate as simulation
    except ImportError as error:
        raise left_out("`greenroom simulate`", error) from None
    asyncio.run(simulation.simulate(folder, click.echo))


COMMANDS = (serve, migrate, demo, simulate)

"""The command line. Imports are lazy, so that `--help` and typing mistakes get an immediate answer.

Exit codes: 0 done, 1 failed, 2 the configuration or the call is wrong, 130 interrupted. Errors go to stderr.
"""

from __future__ import annotations

import sys
from typing import Any, NoReturn

import click

from greenroom.cli import folder, instance, programs, seed
from greenroom.errors import Failed, FixConfiguration, GreenroomError

ABOUT = """A preview environment for every pull request that asks for one.

\b
The five main commands:
  greenroom demo              run a demo of the full preview lifecycle
  greenroom check FOLDER      report every mistake in the configuration
  greenroom serve FOLDER      run Greenroom
  greenroom list              list every preview, and the reason for its state
  greenroom explain shop#42   explain its state, and what would change it
"""


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


@main.command(short_help="Print the completion script for a shell.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script for a shell: `greenroom completion bash >> ~/.bashrc`."""
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    if found is None:
        raise Failed(f"Completion is not available for {shell}.")
    click.echo(found(main, {}, "greenroom", "_GREENROOM_COMPLETE").source())


for _command in (*folder.COMMANDS, *programs.COMMANDS, *instance.COMMANDS, *seed.COMMANDS):
    main.add_command(_command)

"""The two halves of a build in a cluster. Greenroom starts them in Jobs; users never need them."""

from __future__ import annotations

import os
from pathlib import Path

import click

from greenroom.cli.left_out import left_out
from greenroom.errors import Failed, FixConfiguration, GreenroomError

TERMINATION_LOG = Path("/dev/termination-log")
"""https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/"""


@click.command(hidden=True, short_help="Run the agent that restores a dump (in a Job).")
@click.option("--work", required=True, type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--port", required=True, type=int)
@click.option("--kind", default="postgresql")
def agent(work: Path, port: int, kind: str) -> None:
    """Receive a dump from the courier, and return the packed data."""
    import asyncio

    try:
        from greenroom.asgi_server import running
        from greenroom.seeds.agent import Agent
        from greenroom.seeds.engines import ENGINES
    except ImportError as error:
        raise left_out("`greenroom seed agent`", error, extra="seeds") from None

    async def served() -> None:
        made = Agent(work, _variable("GREENROOM_SEED_TOKEN"), ENGINES[kind])
        made.install()
        async with running(made.application(), port, "0.0.0.0"):  # noqa: S104 -- a pod; the token and the policy guard it
            await made.ended.wait()

    asyncio.run(served())


@click.command(hidden=True, short_help="Send a dump to the agent and push the image (in a Job).")
@click.argument("url")
@click.option("--insecure", multiple=True, metavar="HOST")
def courier(url: str, insecure: tuple[str, ...]) -> None:
    """Send the dump to the agent at URL, and push the layer that it has packed."""
    import asyncio

    try:
        click.echo(asyncio.run(_run(url, insecure)))
    except GreenroomError as error:
        if TERMINATION_LOG.exists():
            TERMINATION_LOG.write_text(str(error))
        raise


async def _run(url: str, insecure: tuple[str, ...]) -> str:
    import json
    import tempfile

    try:
        from greenroom import http_client
        from greenroom.core.model.codec import loaded
        from greenroom.core.model.seeds import SeedBuild
        from greenroom.registry.access import Access, Advice
        from greenroom.registry.docker_config import stored_login
        from greenroom.registry.references import reference
        from greenroom.seeds.courier import AgentAddress, Courier, GitHubSource
    except ImportError as error:
        raise left_out("`greenroom seed courier`", error, extra="seeds") from None
    github_token = os.environ.get("GREENROOM_GITHUB_TOKEN", "")
    if not github_token:
        raise Failed(
            "The GitHub token is missing. Set the key `github-token` in the Secret for seed builds (`seeds.secret` in"
            " greenroom.yaml). See docs/seeds.md."
        )
    build = loaded(SeedBuild, json.loads(_variable("GREENROOM_SEED_BUILD")))
    hosts = {reference(build.inputs.base).host, reference(build.reference).host}
    logins = {host: login for host in hosts if (login := stored_login(host))}
    check = "Check the key `docker-config` in the Secret for seed builds (`seeds.secret` in greenroom.yaml)."
    with tempfile.TemporaryDirectory(prefix="greenroom-courier-") as folder:
        async with http_client.client(600) as client:
            found = Courier(
                build,
                AgentAddress(url, _variable("GREENROOM_SEED_TOKEN")),
                GitHubSource(_variable("GREENROOM_GITHUB_API"), github_token),
                Access(client, logins, insecure, (), Advice(login=check, check=check)),
                client,
                Path(folder),
                _report,
            )
            try:
                return await found.run()
            except OSError as error:
                raise Failed(f"The Job that pushes the seed image cannot use its disk ({error.strerror}).") from None


def _report(phase: str, seconds: float) -> None:
    click.echo(f"{phase:8} {seconds:7.2f} s", err=True)


def _variable(name: str) -> str:
    if value := os.environ.get(name):
        return value
    raise FixConfiguration(
        f"The variable {name} is empty or not set. This command only runs in Jobs that Greenroom creates."
    )

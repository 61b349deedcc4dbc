"""Commands that make and check dumps, and build seed images from them."""

from __future__ import annotations

import click

from greenroom.cli.seed_build import build
from greenroom.cli.seed_check import check, columns, make
from greenroom.cli.seed_cluster import agent, courier
from greenroom.cli.seed_prune import prune
from greenroom.cli.seed_rehearse import rehearse


@click.group(short_help="Check dumps, and build images that databases start from.")
def seed() -> None:
    """Turn a dump into the data that every preview's database starts with."""


for command in (check, columns, make, build, rehearse, prune, agent, courier):
    seed.add_command(command)
COMMANDS = (seed,)

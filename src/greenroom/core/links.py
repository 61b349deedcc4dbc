"""Where each `uses` entry of a preview points, and why.

A service of the same preview comes first (public hosts of one preview know each other), then shared staging.
"""

from __future__ import annotations

from greenroom.core import names
from greenroom.core.catalogue import Platform, Repository
from greenroom.core.rows import Link, Naming


def links(platform: Platform, repository: Repository, naming: Naming) -> tuple[Link, ...]:
    """One link for each `uses` of the repository's services; a target without an address has none."""
    staging = dict(platform.staging)
    found = []
    for service in repository.services:
        for use in service.uses:
            own = naming.host(use.service)
            url, why = (names.url(platform, own), "same preview") if own else (staging.get(use.service, ""), "staging")
            if url:
                found.append(Link(service.name, use.service, use.variable, url, why))
    return tuple(found)

"""Hosts and ports of addresses, and the variables that a link sets."""

from __future__ import annotations

import re

from greenroom.core.model.spec import Link


def host_of(address: str) -> str:
    """Return the host of a URL, or of an address without a scheme."""
    return _host_and_port(address)[0]


def _host_and_port(address: str) -> tuple[str, str]:
    rest = re.sub(r"^[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*@)?", "", address)
    host, _, port = re.split(r"[/?#]", rest, maxsplit=1)[0].partition(":")
    return host, port


def link_variables(link: Link) -> dict[str, str]:
    """Return the variables of a link with their values."""
    host, port = _host_and_port(link.url)
    parts = {"url": link.url, "public": link.public, "host": host}
    parts["port"] = port or ("443" if link.url.lower().startswith("https:") else "80")
    return {variable: parts[part] for part, variable in link.variables}

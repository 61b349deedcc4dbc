"""Values of a Compose file that hold the address of one of its services, and the form of that address.

Hosts of the file do not exist in a preview. Such a value becomes part of a need or a link, or it is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import Enum
from urllib.parse import SplitResult, urlsplit

_HOLDS_HOSTS = re.compile(
    r"(?:HOST(?:NAME)?|SERVER|ADDR(?:ESS)?|ENDPOINT|NODE|BROKER|UR[LI])(?:E?S)?\d*$", re.IGNORECASE
)
_ENDS = re.compile(r"(?P<begin>.+?)(?:HOSTNAME|HOST|SERVER|ADDRESS|ADDR)", re.IGNORECASE)
_LOCAL = re.compile(r"(?:^|(?<=//)|(?<=@))(?:localhost|127\.0\.0\.1|host\.docker\.internal)(?![\w.-])", re.IGNORECASE)
PARTS = {
    "port": ("PORT",),
    "user": ("USER", "USERNAME", "LOGIN"),
    "password": ("PASSWORD", "PASS", "PASSWD", "PWD"),
    "database": ("NAME", "DATABASE", "DB", "DBNAME", "VHOST"),
}


class Form(Enum):
    """Form in which a value names a host: a URL, the host alone, the host inside other text, or only a word like it."""

    URL = 1
    HOST = 2
    INSIDE = 3
    WORD = 4


class Hosts:
    """Hosts of a file, by each of their names."""

    def __init__(self, called: Mapping[str, str]) -> None:
        """Index the hosts. `called` maps each name of a host to its service."""
        self._called = {name.lower(): service for name, service in called.items() if name}
        names = "|".join(re.escape(name) for name in sorted(self._called, key=len, reverse=True)) or r"(?!)"
        self._inside = re.compile(
            r"(?:(?:(?<=//)|(?<=@)|(?<=\()|(?<![\w.-])(?:host|hostname|server|data source)\s*=\s*)"
            rf"(?P<given>{names})(?![\w.-])|(?<![\w./@-])(?P<before>{names}):\d)"
        )
        self._option = re.compile(rf"(?<!\S)(?:-h|--host)[= ](?P<given>{names})(?!\S)")

    def named(self, variable: str, value: str) -> dict[str, Form]:
        """Return the services that the value of a variable names, each with its form."""
        text = value.strip().lower()
        address = parsed(value)
        if address and (service := self._called.get(address.hostname or "")):
            return {service: Form.URL}
        if service := self._called.get(text):
            return {service: Form.HOST if _HOLDS_HOSTS.search(variable) else Form.WORD}
        inside = {self._called[match["given"] or match["before"]]: Form.INSIDE for match in self._inside.finditer(text)}
        words = (self._called.get(word) for word in re.split(r"[\s,;]+", text) if re.search(r"[,;\s]", text))
        return {service: Form.WORD for service in words if service} | inside

    def in_command(self, words: Iterable[str]) -> list[str]:
        """Return the services that a command names as hosts."""
        line = " ".join(words).lower()
        found = [match["given"] or match["before"] for match in self._inside.finditer(line)]
        found += [match["given"] for match in self._option.finditer(line)]
        return [*dict.fromkeys(self._called[name] for name in found)]


def parsed(value: str) -> SplitResult | None:
    """Return the value as one URL, or None."""
    try:
        found = urlsplit(value.strip())
        return found if value.count("://") == 1 and found.hostname and "," not in found.netloc else None
    except ValueError:
        return None


def port_of(value: str) -> int | None:
    """Return the port that a URL names, or None if it names no port or is not a URL."""
    try:
        address = parsed(value)
        return address.port if address else None
    except ValueError:
        return None


def number(value: str) -> int | None:
    """Return the port if the value is only a port number, or None for any other text."""
    text = value.strip()
    return int(text) if text.isascii() and text.isdecimal() and 0 < int(text[:9]) < 65536 else None


def other_port(value: str, port: int) -> bool:
    """Return whether a value is the number of another port."""
    return number(value) not in (None, port)


def local(value: str) -> bool:
    """Return whether a value leads to the machine that reads it, or to a host in its network only."""
    address = parsed(value)
    return bool(_LOCAL.search(value)) or bool(address and not re.search(r"[.:]", address.hostname or ""))


def siblings(host: str, names: Iterable[str], parts: Iterable[str]) -> dict[str, str]:
    """Return, by part, the variables with the other parts of the address whose host is in the variable `host`."""
    match = _ENDS.fullmatch(host)
    if not match:
        return {}
    known = {name.upper(): name for name in names}
    wanted = ((part, f"{match['begin']}{end}".upper()) for part in parts for end in PARTS[part])
    found: dict[str, str] = {}
    for part, name in wanted:
        if name in known:
            found.setdefault(part, known[name])
    return found

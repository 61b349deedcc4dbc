"""Services of a Compose file, each with the service that it extends, its ports, its variables and its code.

https://github.com/compose-spec/compose-spec/blob/main/05-services.md. Other modules decide what they become.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from greenroom.importer import images, secrets
from greenroom.importer.draft import text
from greenroom.importer.interpolation import Interpolated, interpolated

NEVER_HTTP = frozenset({22, 25, 53})  # SSH, mail and DNS, which many images publish beside their web port
_REPLACED = ("command", "entrypoint")  # other lists are joined, with the extending service's last


@dataclass(slots=True)
class Found:
    """One service.

    `kind` is the kind of need that its image is, or empty. `no_ports` are ports that a web process cannot have.
    `nameless` is true if some of its variables have no name. `code` is equal for services that run the same code: they
    are built from the same source, or one runs the image that another one builds.
    """

    name: str
    spec: dict[str, Any]
    kind: str
    image: str
    code: str
    env: dict[str, Interpolated]
    ports: list[int] = field(default_factory=list)
    no_ports: list[str] = field(default_factory=list)
    nameless: bool = False

    @property
    def built(self) -> bool:
        """Return whether its image is built from files beside the Compose file."""
        return bool(self.spec.get("build"))

    @property
    def shown(self) -> str:
        """Return its image as notes show it."""
        said = self.image if not secrets.value(self.image) else ""
        return said or ("an image" if self.spec.get("image") else "no image")

    @property
    def unread(self) -> str:
        """Return the file, or else the name, of the extended service if that was not found."""
        extends = self.spec.get("extends") or ""
        return str(extends.get("file") or extends.get("service") if isinstance(extends, dict) else extends)

    def depends(self) -> dict[str, str]:
        """Return the services that it depends on, each with the condition."""
        given = self.spec.get("depends_on") or {}
        found = {str(link).partition(":")[0]: "" for link in self.spec.get("links") or ()}
        if isinstance(given, list):
            return found | dict.fromkeys(given, "")
        how = {str(k): v if isinstance(v, dict) else {} for k, v in given.items()}
        return found | {name: str(spec.get("condition") or "") for name, spec in how.items()}

    def aliases(self) -> Iterator[str]:
        """Yield its names on its networks in addition to its own name."""
        yield from (str(self.spec[key]) for key in ("container_name", "hostname") if self.spec.get(key))
        networks = self.spec.get("networks")
        for network in networks.values() if isinstance(networks, dict) else ():
            aliases = network.get("aliases") if isinstance(network, dict) else None
            yield from map(str, aliases if isinstance(aliases, list) else ())


def found(given: Mapping[str, dict[str, Any]]) -> dict[str, Found]:
    """Return the services by name."""
    specs = {name: _whole(name, given, ()) for name in given}
    built: dict[str, str] = {}  # one image is one code, even if a merge key left another `build:` beside it
    for spec in specs.values():
        if spec.get("build") and _image(spec):
            built.setdefault(_image(spec), _code(spec))
    return {name: _found(name, spec, built) for name, spec in specs.items()}


def _found(name: str, spec: dict[str, Any], built: Mapping[str, str]) -> Found:
    image = _image(spec)
    said = str(spec.get("image") or "")
    alone = _code(spec) if spec.get("build") else f"image {image or said}" if said else f"service {name}"
    code = built.get(image, alone)
    variables = environment(spec)
    env = {n: _value(n, v) for n, v in variables.items() if secrets.sayable(n)}
    kind = "" if spec.get("build") or image in built else images.kind(image)
    one = Found(name, spec, kind, image, code, env, nameless=len(env) < len(variables))
    for number, said in _ports(spec):
        if number is None:
            one.no_ports.append(said)
        elif number not in one.ports:
            one.ports.append(number)
    return one


def _whole(name: str, given: Mapping[str, dict[str, Any]], within: tuple[str, ...]) -> dict[str, Any]:
    """Return a service merged over the one that it extends. `extends` stays if that one is not in the same file."""
    spec = given[name]
    extends = spec.get("extends")
    where = extends if isinstance(extends, dict) else {"service": extends}
    base = str(where.get("service"))
    if not extends or where.get("file") or base not in given or base in (*within, name):
        return spec
    below = _whole(base, given, (*within, name))
    return _over(below, {key: value for key, value in spec.items() if key != "extends" and value is not None})


def _over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    made = {**below, **above}
    for key in below.keys() & above.keys() - {*_REPLACED}:
        match below[key], above[key]:
            case list() as first, list() as second if key != "environment":
                made[key] = [*first, *second]
            case dict() as first, dict() as second:
                made[key] = {**first, **second}
    if "environment" in made:
        made["environment"] = environment(below) | environment(above)
    return made


def _image(spec: Mapping[str, Any]) -> str:
    return interpolated(str(spec.get("image") or "")).text


def _code(spec: Mapping[str, Any]) -> str:
    build = spec["build"] if isinstance(spec["build"], dict) else {"context": spec["build"]}
    where = {str(k): str(v) for k, v in build.items() if k != "context"}
    return str((posixpath.normpath(str(build.get("context") or ".")), sorted(where.items())))


def environment(spec: Mapping[str, Any]) -> dict[str, str | None]:
    """Return the variables. One without a value takes the value in the shell that starts Compose."""
    given = spec.get("environment")
    if isinstance(given, dict):
        return {str(k): None if v is None else text(v) for k, v in given.items()}
    pairs = (text(line).partition("=") for line in given or ())
    return {name: value if equals else None for name, equals, value in pairs}


def _value(name: str, given: str | None) -> Interpolated:
    return Interpolated("", (name,), (name,)) if given is None else interpolated(given)


def _ports(spec: Mapping[str, Any]) -> Iterator[tuple[int | None, str]]:
    """Yield each port inside the container, as a number and as a note shows it.

    The number is None if a web process cannot have it. The first port is the one that people open. Ports that declare
    HTTP come first, then other published ports, then exposed ports.
    """
    published = sorted(spec.get("ports") or (), key=lambda each: not _speaks_http(each))
    for each in (*published, *(spec.get("expose") or ())):
        long = each if isinstance(each, dict) else {}
        given = interpolated(str(long.get("target", "") if long else each)).text
        port, _, protocol = given.rpartition(":")[2].partition("/")
        first = port.partition("-")[0]
        number = int(first) if first.isascii() and first.isdecimal() and len(first) <= 9 else 0
        udp = "udp" in (protocol, long.get("protocol"))
        said = f"{number}/udp" if udp else str(number) if number else "a value that is not a number"
        web = 0 < number < 65536 and number not in NEVER_HTTP and not udp
        yield (number if web else None), said


def _speaks_http(port: object) -> bool:
    """Return whether a port declares HTTP.

    https://github.com/compose-spec/compose-spec/blob/main/05-services.md#ports
    """
    said = port if isinstance(port, dict) else {}
    return str(said.get("app_protocol", "")).startswith("http") or str(said.get("name", "")).startswith(("http", "web"))

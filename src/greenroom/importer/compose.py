"""A Compose file: what is built is a service, what is a database is a need, and what points from one to another a link.

https://github.com/compose-spec/compose-spec/blob/main/05-services.md
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from greenroom.config.needs import KINDS
from greenroom.importer import commands, secrets
from greenroom.importer.draft import VARIABLE, Draft, Options, begun, need, settings, text
from greenroom.importer.interpolation import interpolated

NAMES = {alias: kind for kind, found in KINDS.items() for alias in (kind, *found.aliases)} | {
    "postgis": "postgresql",
    "pgvector": "postgresql",
    "keydb": "redis",
}
PARTS = {
    "port": ("PORT",),
    "user": ("USER", "USERNAME", "LOGIN"),
    "password": ("PASSWORD", "PASS"),
    "database": ("NAME", "DATABASE", "DB", "VHOST"),
}
IGNORED = {
    "volumes": "Files of a container do not outlive it; a need has `storage: persistent`.",
    "env_file": "Put its secrets into a Secret and name that under `envFrom:`, the rest under `env:`.",
    "secrets": "Put them into a Secret and name that under `envFrom:`.",
    "configs": "Put them into the image.",
    "extends": "What is extended is not read.",
    "privileged": "Previews run under pod security `restricted`.",
    "cap_add": "Previews run under pod security `restricted`.",
    "devices": "Previews run under pod security `restricted`.",
    "user": "The image's own user counts; it must not be root.",
    "entrypoint": "It was left out; put it before `command:`.",
    "profiles": "It is in the draft whatever its profile.",
}
_PROBE = re.compile(r"(?:https?://)?(?:localhost|127\.0\.0\.1|0\.0\.0\.0)(?::\d+)?(/[^\s'\"|&;]*)")


@dataclass(slots=True)
class _Found:
    """One service of the Compose file. `kind` is the kind of need that its image is, or empty."""

    name: str
    spec: dict[str, Any]
    kind: str = ""
    version: str = ""
    env: dict[str, str] = field(default_factory=dict)

    @property
    def code(self) -> str:
        """What its code is: services of one build or image are processes of one service."""
        build = self.spec.get("build")
        where = build if isinstance(build, str) else str(sorted((build or {}).items()))
        return f"build {where}" if build else f"image {self.spec.get('image', '')}"

    @property
    def image(self) -> str:
        """Its image, as notes say it."""
        image = _plain(str(self.spec.get("image") or "no image"))
        return "an image" if secrets.value(image) else image

    @property
    def port(self) -> int | None:
        """The first port inside the container."""
        for each in (*(self.spec.get("expose") or ()), *(self.spec.get("ports") or ())):
            given = str(each.get("target", "")) if isinstance(each, dict) else str(each)
            last = _plain(given).rpartition(":")[2].partition("/")[0].partition("-")[0]
            if last.isdecimal():
                return int(last)
        return None

    def names(self) -> set[str]:
        """Whom it says that it depends on."""
        found = {*(self.spec.get("depends_on") or ())}
        return found | {str(link).partition(":")[0] for link in self.spec.get("links") or ()}


def drafts(services: dict[str, Any], options: Options) -> list[Draft]:
    """A draft for each code base in the file."""
    found = {name: _found(name, spec) for name, spec in services.items() if isinstance(spec, dict)}
    own = _own(found)
    groups: dict[str, list[_Found]] = {}
    for each in own.values():
        groups.setdefault(each.code, []).append(each)
    names = {each.name: _slug(_first(members).name) for members in groups.values() for each in members}
    made: list[Draft] = []
    taken: dict[str, tuple[str, str]] = {}
    for members in groups.values():
        name = _slug(options.name) if options.name and len(groups) == 1 else names[members[0].name]
        draft = begun(name, options)
        _fill(draft, members, found, {k: v for k, v in names.items() if v != names[members[0].name]}, taken)
        made.append(draft)
    if made:
        for each in found.values():
            if not each.kind and each.name not in own:
                made[0].note(
                    f"{each.name} ({each.image}) is neither built here nor a kind of need: write it as a manifest "
                    "(docs/needs.md), or as a service of its own."
                )
            elif each.kind and each.name not in taken:
                made[0].note(
                    f"{each.name} ({each.image}) was left out: nothing here names it. "
                    f"If a service asks it, add `kind: {each.kind}` to its `needs:`."
                )
    return made


def _found(name: str, spec: dict[str, Any]) -> _Found:
    image = _plain(str(spec.get("image") or "")).partition("@")[0]
    repository, _, tag = image.rpartition(":") if ":" in image.rpartition("/")[2] else (image, "", "")
    kind = "" if spec.get("build") else NAMES.get(repository.rpartition("/")[2].lower(), "")
    version = re.match(r"\d+(\.\d+)?", tag)
    return _Found(name, spec, kind, version[0] if version else "", _environment(spec.get("environment")))


def _own(found: dict[str, _Found]) -> dict[str, _Found]:
    """What is the team's own code: what is built; or, where nothing is, what depends on something."""
    built = {n: f for n, f in found.items() if f.spec.get("build")}
    same = {f.code for f in built.values()} | {f"image {f.spec.get('image')}" for f in built.values()}
    if built:
        return {n: f for n, f in found.items() if n in built or (f.code in same and not f.kind)}
    return {n: f for n, f in found.items() if not f.kind and f.names()}


def _first(members: list[_Found]) -> _Found:
    return next((m for m in members if m.port), members[0])


def _fill(
    draft: Draft,
    members: list[_Found],
    found: dict[str, _Found],
    others: dict[str, str],
    taken: dict[str, tuple[str, str]],
) -> None:
    env: dict[str, str] = {}
    for member in members:
        env |= member.env
    draft.data["processes"] = {_slug(m.name) if len(members) > 1 else _role(m): _process(m, draft) for m in members}
    if not any(m.port for m in members):
        draft.data["public"] = False
    needs, env = _needs(draft, members, found, env, taken)
    if needs:
        draft.data["needs"] = needs
    uses, env = _uses(env, others)
    if uses:
        draft.data["uses"] = uses
    plain, secret = {}, []
    for name, value in env.items():
        found_value = interpolated(value)
        if any(map(secrets.name, found_value.names)) and found_value.text:
            secret.append(name)
        elif found_value.missing:
            draft.note(f"{name} takes its value from outside the file: write it, or put it into a Secret.")
        else:
            plain[name] = found_value.text
    settings(draft, plain, secret)
    for key, why in IGNORED.items():
        if who := [m.name for m in members if m.spec.get(key)]:
            draft.note(f"`{key}` of {', '.join(who)} was left out. {why}")
    if needs and "migrate" not in draft.data:
        draft.note("Say what brings its database up to date: `migrate: [...]`; it runs before each start.")


def _role(member: _Found) -> str:
    return "web" if member.port else "worker"


def _process(member: _Found, draft: Draft) -> dict[str, Any]:
    process: dict[str, Any] = {"port": member.port} if member.port else {"kind": "worker"}
    if words := _command(member, draft):
        process["command"] = words
    test = (member.spec.get("healthcheck") or {}).get("test")
    if member.port and test and (path := _PROBE.search(" ".join(test) if isinstance(test, list) else str(test))):
        if secrets.value(path[1]):
            draft.note(f"The path that `healthcheck` of {member.name} asks holds what looks secret: write `probe:`.")
        else:
            process["probe"] = path[1]
    replicas = (member.spec.get("deploy") or {}).get("replicas", 1)
    if isinstance(replicas, int) and 1 < replicas <= 10:
        process["replicas"] = replicas
    return process


def _command(member: _Found, draft: Draft) -> list[str]:
    given = member.spec.get("command")
    parts = [interpolated(text(part)) for part in (given if isinstance(given, list) else [given or ""])]
    if missing := dict.fromkeys(name for part in parts for name in part.missing):
        draft.note(
            f"The command of {member.name} takes {', '.join(missing)} from outside the file, "
            "where the draft has nothing: write it."
        )
    words = [part.text for part in parts] if isinstance(given, list) else commands.split(parts[0].text) if given else []
    filled = [name for part in parts for name in part.names if name not in part.missing]
    return commands.kept(words, f"The command of {member.name}", draft, filled)


def _needs(
    draft: Draft,
    members: list[_Found],
    found: dict[str, _Found],
    env: dict[str, str],
    taken: dict[str, tuple[str, str]],
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    made, left = [], dict(env)
    for other in found.values():
        if not other.kind:
            continue
        variables = _variables(other.name, left)
        if not variables and not any(other.name in m.names() for m in members):
            continue
        for variable in variables.values():
            left.pop(variable, None)
        given = variables["url"] if [*variables] == ["url"] else variables
        if other.name in taken:
            service, name = taken[other.name]
            made.append({"of": service, "name": name, "as": given or KINDS[other.kind].variable})
            continue
        entry: dict[str, Any] = need(other.kind, other.version, draft)
        name = _slug(other.name)
        if any(n.get("kind") == other.kind for n in made):
            entry["name"] = name if name != other.kind else f"{name}-2"
        taken[other.name] = (draft.name, entry.get("name", other.kind))
        made.append({**entry, **({"as": given} if given else {})})
        stock = str(other.spec.get("image", "")).rpartition("/")[2].partition(":")[0]
        if stock not in (other.kind, *KINDS[other.kind].aliases):
            draft.note(f"{other.name} is {other.image}: if its extensions are needed, see `image:`.")
    return made, left


def _variables(host: str, env: dict[str, str]) -> dict[str, str]:
    """Which variables hold which part of the address of a host."""
    found: dict[str, str] = {}
    for name, value in env.items():
        address = _plain(value)
        if not VARIABLE.fullmatch(name):
            continue
        if "://" in address and _host(address) == host:
            found.setdefault("url", name)
        elif address == host:
            found.setdefault("host", name)
            begin = name.removesuffix("HOST").removesuffix("HOSTNAME").removesuffix("SERVER")
            for part, ends in PARTS.items():
                for end in ends:
                    if begin != name and f"{begin}{end}" in env:
                        found.setdefault(part, f"{begin}{end}")
    return found


def _uses(env: dict[str, str], others: dict[str, str]) -> tuple[list[dict[str, Any]], dict[str, str]]:
    made: dict[str, dict[str, Any]] = {}
    left = dict(env)
    for name, value in env.items():
        address = _plain(value)
        host = _host(address) if "://" in address else address
        if host in others and VARIABLE.fullmatch(name) and others[host] not in made:
            part = {"as": name} if "://" in address else {"as": {"host": name}}
            made[others[host]] = {"service": others[host], **part}
            del left[name]
    return [*made.values()], left


def _host(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""


def _environment(given: Any) -> dict[str, str]:
    """The variables; one without a value has that of the shell that starts Compose, written as `${NAME}`."""
    if isinstance(given, dict):
        return {str(k): f"${{{k}}}" if v is None else text(v) for k, v in given.items()}
    pairs = (text(line).partition("=") for line in given or ())
    return {name: value if equals else f"${{{name}}}" for name, equals, value in pairs}


def _plain(given: str) -> str:
    """The text with defaults in place of variables."""
    return interpolated(given).text


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-").lstrip("0123456789-") or "service"

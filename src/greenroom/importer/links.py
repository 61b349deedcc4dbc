"""Variables that a draft's needs and links give, and variables that name a host that no preview has.

Each part of an address is assigned to one variable, and each variable is given once. The rest is left out with a note.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from greenroom.config.variables import reserved
from greenroom.core.model.kinds import KINDS
from greenroom.importer import images, names, stores
from greenroom.importer.addresses import PARTS, Form, Hosts, local, number, other_port, parsed, port_of, siblings
from greenroom.importer.draft import VARIABLE, Draft, need, settable, was
from greenroom.importer.interpolation import Interpolated
from greenroom.importer.services import Found


@dataclass(slots=True)
class File:
    """Facts about a file that all its drafts share.

    `drafted` maps each service to its draft. `reached` are the services that a link to their draft leads to. `shared`
    maps each service that became a need to the draft that has the need, and to the need's name there.
    """

    services: Mapping[str, Found]
    hosts: Hosts
    drafted: Mapping[str, str]
    reached: Collection[str]
    shared: dict[str, tuple[str, str]] = field(default_factory=dict)


class Variables:
    """Variables of a draft: those that are left, and the names of those that a need or a link gives."""

    def __init__(self, env: Mapping[str, Interpolated], hosts: Hosts) -> None:
        """Start with all variables in `env`, as the file has them."""
        self.left = dict(env)
        self.named = {name: hosts.named(name, value.text) for name, value in env.items()}
        self._given: set[str] = set()

    def naming(self, service: str, *forms: Form) -> list[str]:
        """Return the variables that are left, have a valid name, and name a service of the file in one of these forms.

        A need or a link cannot give all of them: `PORT` is one of them if the file puts an address into it.
        """
        return [n for n in self.left if self.named[n].get(service) in forms and VARIABLE.fullmatch(n)]

    def of(self, service: str, *forms: Form) -> list[str]:
        """Return the variables that are left, can be given, and name a service of the file in one of these forms."""
        return [*filter(settable, self.naming(service, *forms))]

    def names(self) -> list[str]:
        """Return the variables that are left and can be given."""
        return [*filter(settable, self.left)]

    def give(self, given: Iterable[str]) -> None:
        """Mark these variables as given by a need or a link."""
        for name in given:
            self.left.pop(name, None)
            self._given.add(name)

    def free(self, wanted: str, other: str) -> str:
        """Return `wanted` if it is not taken and no value of the file is lost, otherwise a distinct form of `other`."""
        if wanted not in self._given and (wanted not in self.left or self.left[wanted].missing):
            return wanted
        return names.distinct(other, {*self._given, *self.left}, "_")


def needs(draft: Draft, depends: Collection[str], variables: Variables, file: File) -> list[dict[str, Any]]:
    """Return needs for the file's databases, queues and caches that a variable names or a process depends on."""
    made: list[dict[str, Any]] = []
    for store in file.services.values():
        naming = variables.naming(store.name, Form.URL, Form.HOST, Form.INSIDE)
        if not store.kind or not (naming or store.name in depends):
            continue
        parts = _parts(store, variables)
        _notes_on_url(draft, store, variables.left.get(parts.get("url", "")), parts.get("url", ""))
        default = "" if parts else _default(draft, store, variables)
        given = [*parts.values()] or [default]
        variables.give([*given, *naming])
        if others := [name for name in naming if name not in given]:
            draft.note(
                f"{', '.join(others)} {was(others)} left out, because the need {store.name} already"
                f" provides its address in {', '.join(given)}. Change the code to read that variable,"
                " or add another need."
            )
        entry = _entry(draft, store, made, file)
        if "of" in entry or default != KINDS[store.kind].variable:
            entry["as"] = given[0] if [*parts] in ([], ["url"]) else parts
        made.append(entry)
    return made


def uses(draft: Draft, variables: Variables, file: File) -> list[dict[str, Any]]:
    """Return links to the other drafts of the file whose addresses are in variables."""
    made = []
    for service in file.reached:
        if file.drafted[service] == draft.name:
            continue
        web = file.services[service].ports[0]
        urls = [n for n in variables.of(service, Form.URL) if _leads_to(variables.left[n], web)]
        hosts = variables.of(service, Form.HOST)
        parts = {"url": urls[0]} if urls else {}
        if hosts:
            port = siblings(hosts[0], variables.names(), ["port"])
            if any(other_port(variables.left[n].text, web) for n in port.values()):
                continue  # `leftovers` reports the port
            parts |= {"host": hosts[0], **port}
        if not parts:
            continue
        address = parsed(variables.left[urls[0]].text) if urls else None
        if address and (address.path.strip("/") or address.query):
            draft.note(f"{urls[0]} contains a path, but a link provides only the address. Add the path in the code.")
        variables.give(parts.values())
        made.append({"service": file.drafted[service], "as": urls[0] if [*parts] == ["url"] else parts})
    return made


def leftovers(draft: Draft, variables: Variables, file: File) -> None:
    """Report the remaining variables that name a host of the file. Leave them out, unless the value is only a word."""
    why: dict[str, list[str]] = {}
    words: list[str] = []
    for name, named in variables.named.items():
        if name not in variables.left:
            continue
        if hosts := [service for service, form in named.items() if form is not Form.WORD]:
            port = _port_beside(name, variables)
            del variables.left[name]
            linkable = hosts[0] in file.reached and file.drafted[hosts[0]] != draft.name
            if linkable and (meaning := reserved(name)):
                reason = f"a link cannot set the host {hosts[0]}, because it {meaning}."
            else:
                reason = _why(hosts[0], draft, file, port)
            why.setdefault(reason, []).append(name)
        elif any(file.drafted.get(service) != draft.name for service in named):
            words.append(name)
    for reason, out in why.items():
        draft.note(f"{', '.join(out)} {was(out)} left out: {reason}")
    if words:
        draft.note(
            f"{', '.join(words)}: the value is also a service's name. If it is used as a host name, that host does not"
            " exist in a preview."
        )
    if here := [name for name, value in variables.left.items() if local(value.text)]:
        draft.note(
            f"{', '.join(here)}: the value points to `localhost` or another host without a domain."
            " In a preview, no other service is"
            " reachable there. For public addresses, see `address:` and `as: { public: ... }`."
        )


def _port_beside(name: str, variables: Variables) -> int | None:
    """Return the port in a value, or else in the variable beside it. Return None if there is none."""
    beside = siblings(name, variables.names(), ["port"]).get("port", "")
    return port_of(variables.left[name].text) or (number(variables.left[beside].text) if beside else None)


def _parts(store: Found, variables: Variables) -> dict[str, str]:
    """Return the variable for each part of a store's address."""
    urls, hosts = variables.of(store.name, Form.URL), variables.of(store.name, Form.HOST)
    usual = KINDS[store.kind].variable
    found = {"url": usual if usual in urls else urls[0]} if urls else {}
    if hosts:
        found["host"] = hosts[0]
    for name in (hosts or variables.of(store.name, Form.INSIDE))[:1]:
        found |= siblings(name, variables.names(), PARTS)
    return found


def _notes_on_url(draft: Draft, store: Found, value: Interpolated | None, name: str) -> None:
    address, kind = parsed(value.text) if value else None, KINDS[store.kind]
    if address is None:
        return
    differs = []
    if address.scheme not in (kind.chart.scheme, *kind.schemes):
        differs.append(f"starts with `{kind.chart.scheme}://`" if kind.chart.scheme else "is `host:port`")
    if address.query:
        differs.append("has no query string")
    if differs:
        draft.note(
            f"Unlike in the file, {name} {' and '.join(differs)} in a preview."
            " If the code needs another form, use the parts: `as: { host: ..., port: ... }`."
        )


def _default(draft: Draft, store: Found, variables: Variables) -> str:
    usual = KINDS[store.kind].variable
    found = variables.free(usual, f"{names.variable(store.name)}_URL")
    if found != usual:
        draft.note(
            f"{store.name} provides its address in {found}, because {usual} is taken."
            " Set `as:` to the variable that the code reads."
        )
    return found


def _entry(draft: Draft, store: Found, made: list[dict[str, Any]], file: File) -> dict[str, Any]:
    """Return the need without its variables: the draft's own, or a reference to the draft that named it first."""
    if store.name in file.shared:
        service, name = file.shared[store.name]
        return {"of": service, "name": name}
    stores.report(draft, store)
    version = images.version(store.image)
    if not version:
        known = KINDS[store.kind]
        draft.note(f"{store.name} ({store.shown}) has no version. The draft has {known.title} {known.default}.")
    if images.more(store.image):
        draft.note(f"{store.name} is {store.shown}. If you need its extensions, see `image:` in docs/needs.md.")
    entry = need(store.kind, version, draft)
    called = {str(other.get("name", other.get("kind"))) for other in made}
    if any(other.get("kind") == store.kind for other in made) or store.kind in called:
        entry["name"] = names.distinct(names.slug(store.name, store.kind), {*called, store.kind})
    file.shared[store.name] = (draft.name, entry.get("name", store.kind))
    return entry


def _leads_to(value: Interpolated, web: int) -> bool:
    """Return whether a URL leads to the port that a link leads to. Another port may have another protocol."""
    address = parsed(value.text)
    return address is not None and address.scheme in ("http", "https") and port_of(value.text) in (None, web)


def _why(service: str, draft: Draft, file: File, port: int | None) -> str:
    """Return why a service's address cannot be part of a need or a link. `port` is the port in the value."""
    where = file.drafted.get(service)
    if service in file.shared:
        return f"the host {service} becomes a need. The variables under `as:` contain its address."
    if where is None:
        return (
            f"the host {service} has no draft. Set the address in `env:`, or in the `env:` of the manifest that"
            " provides the host."
        )
    if where == draft.name:
        return f"the host {service} is a process of this service. For its public address, see `address:`."
    if not file.services[service].ports:
        return f"the host {service} does not listen on a port in the draft. Give it a port, and add it to `uses:`."
    if service in file.reached and port not in (None, web := file.services[service].ports[0]):
        return f"it points to port {port} of {service}, but a link points to its web process on port {web}."
    if service not in file.reached:
        return f"a link to {where} points to its first web process, and not to the host {service}."
    return (
        f"the host {service} occurs a second time, or in a form that a link does not provide. A link"
        " provides url (http), host and port."
    )

"""Where each `uses` entry of a preview points, and why. Pure, total, and the same whatever the order of what is read.

A person's choice comes first; then a service of the same preview; then, where the service prefers it, the preview of a
pull request that belongs together with this one; then shared staging. What a person changed in Argo CD wins over all
of it, there. A preview that cannot answer is never a target: the link falls back, and says for whom it waits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace

from greenroom.core import names, reasons
from greenroom.core.catalogue import Platform, Repository, Service, Use
from greenroom.core.model import Identity, Observed, Permission, RowSet
from greenroom.core.rows import Choice, Link, Naming, Row
from greenroom.core.status import Reason

STAGING, DEFAULT = "staging", "default"
SAME = "same preview"
WRITERS = (Permission.ADMIN, Permission.WRITE)
Access = Mapping[tuple[str, str], Permission]


Key = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Every preview that is served: who may be linked to, and who links to whom.

    `targets` are previews by a service that answers in them and their number. `callers` and `missing` are the previews
    whose links lead there, or would if it existed; `branches` those of a service by branch, `named` by `owner/name#N`,
    and `naming` those that name a pull request.
    """

    rows: Mapping[Identity, Row]
    targets: Mapping[Key, Row]
    callers: Mapping[Key, Sequence[tuple[Row, Link]]]
    missing: Mapping[Key, Sequence[Row]]
    branches: Mapping[tuple[str, str], Sequence[Row]]
    named: Mapping[str, Row]
    naming: Mapping[str, Sequence[Row]]

    @classmethod
    def of(cls, observed: Observed) -> Neighbours:
        """The previews of all row sets."""
        rows = {Identity(s.repository_id, n): row for s in observed.sets.values() for n, row in s.rows.items()}
        targets: dict[Key, Row] = {}
        callers: dict[Key, list[tuple[Row, Link]]] = {}
        missing: dict[Key, list[Row]] = {}
        branches: dict[tuple[str, str], list[Row]] = {}
        naming: dict[str, list[Row]] = {}
        for _, row in sorted(rows.items()):
            for service in row.services:
                if service.web:
                    targets[service.name, row.number] = row
                    branches.setdefault((service.name, row.branch), []).append(row)
            for link in row.links:
                if link.number:
                    callers.setdefault((link.target, link.number), []).append((row, link))
                if link.wanted:
                    missing.setdefault((link.target, link.wanted), []).append(row)
            for name in row.mentions:
                naming.setdefault(name, []).append(row)
        named = {_name(row): row for row in rows.values()}
        return cls(rows, targets, callers, missing, branches, named, naming)

    def users(self, row: Row) -> tuple[tuple[Row, Link], ...]:
        """Who links to a service of this preview, by name."""
        found = [
            (other, link)
            for service in row.services
            for other, link in self.callers.get((service.name, row.number), ())
            if _key(other) != _key(row)
        ]
        return tuple(sorted(found, key=lambda pair: (pair[0].repository, pair[0].number, pair[1].target)))

    def missed_by(self, repository: Repository, number: int) -> tuple[Row, ...]:
        """Whose link would lead to this preview if it existed."""
        found = {_key(r): r for s in repository.services for r in self.missing.get((s.name, number), ())}
        return tuple(found[key] for key in sorted(found))

    def awake(self) -> Set[Identity]:
        """The previews that stay awake: nobody put them to sleep, or one that is awake uses them, however far away."""
        found: set[Identity] = set()
        ahead = [identity for identity, row in self.rows.items() if not row.sleepy]
        while ahead:
            identity = ahead.pop()
            if identity in found:
                continue
            found.add(identity)
            for link in self.rows[identity].links:
                target = self.targets.get((link.target, link.number))
                if target is not None:
                    ahead.append(Identity(target.repository_id, target.number))
        return found


@dataclass(frozen=True, slots=True)
class Seeker:
    """The pull request whose links are resolved. `known` are the links that its row has now."""

    platform: Platform
    repository: Repository
    naming: Naming
    number: int
    author: str
    branch: str
    mentions: tuple[str, ...] = ()
    choices: tuple[Choice, ...] = ()
    known: tuple[Link, ...] = ()


def resolved(seeker: Seeker, around: Neighbours, access: Access) -> tuple[Link, ...] | Reason:
    """One link for each `uses` entry that has an address; or why the preview waits for another one."""
    found: list[Link] = []
    for service in seeker.repository.services:
        for use in service.uses:
            link = _link(service.name, use, seeker, around, access)
            if use.required and not link.number and not link.own:
                return reasons.link_required(use.service, link.why)
            if link.url:
                found.append(link)
    return tuple(found)


def partners(seeker: Seeker, around: Neighbours) -> tuple[Row, ...]:
    """The previews that belong together with this pull request by branch or by word, of services that prefer so."""
    wanted = {u.service for s in seeker.repository.services for u in s.uses if u.same_branch}
    found = {_key(r): r for name in wanted for rows in _paired(name, seeker, around) for r in rows}
    return tuple(found[key] for key in sorted(found))


def default(platform: Platform, repository: Repository, naming: Naming) -> tuple[Link, ...]:
    """The links of a preview that nobody chose anything for, alone in the world."""
    seeker = Seeker(platform, repository, naming, 0, "", "")
    found = (_fallback(s.name, u, seeker) for s in repository.services for u in s.uses)
    return tuple(link for link in found if link.url)


def _link(service: str, use: Use, seeker: Seeker, around: Neighbours, access: Access) -> Link:
    choice = next((c for c in seeker.choices if c.service == use.service), None)
    if choice is not None and choice.to == STAGING:
        return _staging(service, use, seeker, f"{choice.by} chose it")
    if choice is not None and choice.to != DEFAULT:
        return _chosen(service, use, choice, seeker, around) or _unchanged(service, use, choice, seeker, around, access)
    if use.same_branch and _own(use, seeker) is None:
        return _pair(service, use, seeker, around, access)
    return _fallback(service, use, seeker)


def _chosen(service: str, use: Use, choice: Choice, seeker: Seeker, around: Neighbours) -> Link | None:
    """Return the link to the preview that a person chose; None while it does not exist or may not be used."""
    number = int(choice.to)
    if _own(use, seeker) is not None and number == seeker.number:
        return _fallback(service, use, seeker)
    target = None if choice.refused else around.targets.get((use.service, number))
    return _to(service, use, target, seeker, f"{choice.by} chose it") if target else None


def _unchanged(service: str, use: Use, choice: Choice, seeker: Seeker, around: Neighbours, access: Access) -> Link:
    """Return the current link until the chosen preview exists: a mistyped number must not break a working link.

    A link to the chosen preview itself falls back, because its target is gone. A preview that the person may not read
    is treated as missing, and its own comment does not mention the choice.
    """
    number = int(choice.to)
    why = f"until {use.service}#{number}, which {choice.by} chose, has a preview that may be used"
    wanted = 0 if choice.refused else number
    now = next((k for k in seeker.known if (k.service, k.target) == (service, use.service)), None)
    if now is not None and now.paired:
        found = _pair(service, use, seeker, around, access)  # checks the permissions of both authors again
        if found.number:
            return found if found.number == number else replace(found, why=why, wanted=wanted)
    elif now is not None and now.number != number:
        target = around.targets.get((use.service, now.number))
        if target is not None:
            return replace(_to(service, use, target, seeker, why), wanted=wanted)
        if not now.number and not now.own:
            return _staging(service, use, seeker, why, wanted)
    return _fallback(service, use, seeker, why, wanted)


def _pair(service: str, use: Use, seeker: Seeker, around: Neighbours, access: Access) -> Link:
    """The one preview that belongs together with this one. Rights come first: what nobody may use is not spoken of."""
    before = next((k for k in seeker.known if (k.service, k.target) == (service, use.service) and k.paired), None)
    for candidates in _paired(use.service, seeker, around):
        rights = {_key(r): _rights(seeker, r, access) for r in candidates}
        allowed = [r for r in candidates if rights[_key(r)] <= {*WRITERS}]
        unsure = [r for r in candidates if rights[_key(r)] <= {*WRITERS, Permission.UNKNOWN} and r not in allowed]
        if before and not allowed and [r.number for r in unsure] == [before.number]:
            allowed = unsure  # it was linked; that GitHub does not answer now parts nobody
        if len(allowed) > 1:
            listed = " and ".join(f"{use.service}#{r.number}" for r in allowed)
            return _fallback(service, use, seeker, f"{listed} both belong to this pull request: choose one")
        if allowed:
            why = "same branch" if allowed[0].branch == seeker.branch else "they name each other"
            return replace(_to(service, use, allowed[0], seeker, why), paired=True)
        if unsure:
            return _fallback(service, use, seeker, "until GitHub says who may write")
    named = _named_number(use.service, seeker)
    if named:
        why = f"until {use.service}#{named}, which the description names, has a preview that may be used"
        return _fallback(service, use, seeker, why)
    gone = (before.number or before.wanted) if before else 0
    if gone and (use.service, gone) not in around.targets:
        why = f"{use.service}#{gone}, which belongs to this pull request, has no preview now"
        return replace(_fallback(service, use, seeker, why, gone), paired=True)
    return _fallback(service, use, seeker)


def _rights(seeker: Seeker, target: Row, access: Access) -> set[Permission]:
    """What both authors may do in both repositories."""
    return {
        access.get((slug, login), Permission.UNKNOWN)
        for slug in (seeker.repository.slug, target.slug)
        for login in (seeker.author, target.author)
    }


def _paired(service: str, seeker: Seeker, around: Neighbours) -> tuple[list[Row], list[Row]]:
    """Previews of another repository that answer for a service: those that say that they belong here, or that this one
    names; and those whose branch says so.
    """
    us = f"{seeker.repository.slug}#{seeker.number}".lower()
    said = [*(around.named[m] for m in seeker.mentions if m in around.named), *around.naming.get(us, ())]
    named = [r for r in said if around.targets.get((service, r.number)) is r]
    branched = around.branches.get((service, seeker.branch), ()) if seeker.branch else ()
    return _others(named, seeker), _others(branched, seeker)


def _others(rows: Iterable[Row], seeker: Seeker) -> list[Row]:
    found = {_key(r): r for r in rows if r.slug != seeker.repository.slug}
    return [found[key] for key in sorted(found)]


def _named_number(service: str, seeker: Seeker) -> int:
    """The pull request of a service's repository that the description names, or 0."""
    repository = next((r for r in seeker.platform.repositories if any(s.name == service for s in r.services)), None)
    slug = repository.slug.lower() if repository else ""
    return next((int(n) for s, _, n in (m.partition("#") for m in seeker.mentions) if s == slug), 0)


def _to(service: str, use: Use, target: Row, seeker: Seeker, why: str) -> Link:
    made = next(s for s in target.services if s.name == use.service)
    host = target.naming.host(made.name)
    public = names.url(seeker.platform, host) if host else ""
    port = made.web.port if made.web and made.web.port else 0
    return Link(
        service,
        use.service,
        use.variables,
        url=names.inside(seeker.platform, made, target.naming) or public,
        public=public,
        why=why,
        number=target.number,
        namespace=target.naming.namespace,
        port=port,
    )


def _fallback(service: str, use: Use, seeker: Seeker, why: str = "", wanted: int = 0) -> Link:
    """The preview's own service, or staging."""
    own = _own(use, seeker)
    if own is None:
        return _staging(service, use, seeker, why, wanted)
    host = seeker.naming.host(own.name)
    public = names.url(seeker.platform, host) if host else ""
    url = names.inside(seeker.platform, own, seeker.naming)
    return Link(service, use.service, use.variables, url, public, why or SAME, wanted=wanted, own=True)


def _staging(service: str, use: Use, seeker: Seeker, why: str = "", wanted: int = 0) -> Link:
    found = dict(seeker.platform.staging).get(use.service)
    if found is None and _own(use, seeker) is not None:
        return _fallback(service, use, seeker, f"{why}, but {use.service} has no staging", wanted)
    url, public = (found.url, found.public) if found else ("", "")
    return Link(service, use.service, use.variables, url, public, why or "staging", wanted=wanted)


def _own(use: Use, seeker: Seeker) -> Service | None:
    """The service of this very preview that is used, if it can be called."""
    own = next((s for s in seeker.repository.services if s.name == use.service), None)
    return own if own and names.inside(seeker.platform, own, seeker.naming) else None


def _key(row: Row) -> tuple[int, int]:
    return row.repository_id, row.number


def _name(row: Row) -> str:
    return f"{row.slug}#{row.number}".lower()


def opened(row: Row, around: Neighbours) -> tuple[tuple[str, str, int], ...]:
    """Which previews may call which port of this one: (service, namespace, port), sorted."""
    calls = {(k.target, other.naming.namespace, k.port) for other, k in around.users(row) if k.port}
    return tuple(sorted(calls))


def given(row: Row, platform: Platform, around: Neighbours) -> tuple[tuple[str, str, str], ...]:
    """The variables that a preview's services have from addresses: their own, and of all who call from a browser."""
    own = [names.url(platform, host) for _, host in row.naming.hosts]
    calling = [names.url(platform, host) for other, _ in around.users(row) for _, host in other.naming.hosts]
    values: dict[str, str] = {"origins": ",".join(dict.fromkeys([*own, *calling]))}
    found: list[tuple[str, str, str]] = []
    for service in row.services:
        host = row.naming.host(service.name)
        values["public"] = names.url(platform, host) if host else ""
        found += [(service.name, variable, values[part]) for part, variable in service.address]
    return tuple(found)


def different(old: Iterable[Link], new: Iterable[Link]) -> list[Link]:
    """The new links that lead elsewhere than before."""
    before = {(k.service, k.target): k for k in old}
    return [
        k for k in new if (b := before.get((k.service, k.target))) is None or (b.url, b.public) != (k.url, k.public)
    ]


def neighbours(platform: Platform, repository: Repository) -> tuple[str, ...]:
    """The other repositories whose services this one's use, or that use services of it, by name."""
    found = set()
    for other in platform.repositories:
        if other.name != repository.name and (_uses(other, repository) or _uses(repository, other)):
            found.add(other.name)
    return tuple(sorted(found))


def _uses(one: Repository, other: Repository) -> bool:
    mine = {s.name for s in other.services}
    return any(u.service in mine for s in one.services for u in s.uses)


def seen_from_outside(rows: RowSet) -> dict[int, object]:
    """What of a row set other repositories' links depend on."""
    return {
        n: (
            r.naming,
            r.services,
            r.author,
            r.branch,
            r.url,
            r.private,
            r.mentions,
            r.sleepy,
            r.asleep,
            [(k.target, k.number, k.wanted) for k in r.links],
        )
        for n, r in rows.rows.items()
    }

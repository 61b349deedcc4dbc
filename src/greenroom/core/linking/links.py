"""Targets of the `uses` entries of a preview, and the reasons for them. Pure, total, and independent of read order.

A person's choice comes first, then a service of the same preview. Next, if the service prefers it, comes the preview of
a pull request that belongs together with this one, and last shared staging. In Argo CD, a person's change overrides all
of them. A preview that cannot answer is never a target: the link falls back, and names the preview that it waits for.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from greenroom.core import messages
from greenroom.core.linking.addresses import host_of
from greenroom.core.model.catalog import Platform, Repository, Service, Use
from greenroom.core.model.engine import EngineState
from greenroom.core.model.github import Permission, Permissions
from greenroom.core.model.spec import (
    Caller,
    Identity,
    Injected,
    Link,
    LinkCause,
    LinkOverride,
    LinkReason,
    Names,
    PreviewSpec,
)
from greenroom.core.model.status import Reason
from greenroom.core.planning import names

STAGING, DEFAULT = "staging", "default"
WRITERS = (Permission.ADMIN, Permission.WRITE)


COMING = timedelta(minutes=10)
"""Time for which a link waits for its target's first image, counted from the first read of the target's commit."""

Key = tuple[str, int]


@dataclass(frozen=True, slots=True)
class LinkIndex:
    """All previews that are served, with the links between them.

    `targets` maps a service and a number to the preview in which that service answers, and `coming` to the one in which
    it will answer once its image exists. `callers` and `missing` hold the previews whose links lead there, or would if
    it existed. `branches` holds the previews of a service by branch, `named` holds previews by `owner/name#N`, and
    `naming` holds the previews that name a pull request.
    """

    specs: Mapping[Identity, PreviewSpec]
    targets: Mapping[Key, PreviewSpec]
    coming: Mapping[Key, PreviewSpec]
    callers: Mapping[Key, Sequence[tuple[PreviewSpec, Link]]]
    missing: Mapping[Key, Sequence[PreviewSpec]]
    branches: Mapping[tuple[str, str], Sequence[PreviewSpec]]
    named: Mapping[str, PreviewSpec]
    naming: Mapping[str, Sequence[PreviewSpec]]

    @classmethod
    def of(cls, observed: EngineState) -> LinkIndex:
        """Return the previews of all preview sets."""
        specs = {Identity(s.repository_id, n): spec for s in observed.sets.values() for n, spec in s.specs.items()}
        targets: dict[Key, PreviewSpec] = {}
        coming: dict[Key, PreviewSpec] = {}
        callers: dict[Key, list[tuple[PreviewSpec, Link]]] = {}
        missing: dict[Key, list[PreviewSpec]] = {}
        branches: dict[tuple[str, str], list[PreviewSpec]] = {}
        naming: dict[str, list[PreviewSpec]] = {}
        for _, spec in sorted(specs.items()):
            for service in spec.services:
                if service.web:
                    (coming if spec.prepared else targets)[service.name, spec.id.number] = spec
                    branches.setdefault((service.name, spec.pull_request.branch), []).append(spec)
            for link in spec.links.targets:
                if link.number:
                    callers.setdefault((link.target, link.number), []).append((spec, link))
                if link.wanted:
                    missing.setdefault((link.target, link.wanted), []).append(spec)
            for name in spec.pull_request.mentions:
                naming.setdefault(name, []).append(spec)
        named = {_name(spec): spec for spec in specs.values()}
        return cls(specs, targets, coming, callers, missing, branches, named, naming)

    def target(self, service: str, number: int) -> PreviewSpec | None:
        """Return the preview in which a service answers, now or once its image exists; None if there is none."""
        return self.targets.get((service, number)) or self.coming.get((service, number))

    def users(self, spec: PreviewSpec) -> tuple[tuple[PreviewSpec, Link], ...]:
        """Return the previews that link to a service of this one, with the links, sorted by name."""
        found = [
            (other, link)
            for service in spec.services
            for other, link in self.callers.get((service.name, spec.id.number), ())
            if _key(other) != _key(spec)
        ]
        return tuple(sorted(found, key=lambda pair: (pair[0].names.repository, pair[0].id.number, pair[1].target)))

    def missed_by(self, repository: Repository, number: int) -> tuple[PreviewSpec, ...]:
        """Return the previews whose link would lead to this one if it existed."""
        found = {_key(r): r for s in repository.services for r in self.missing.get((s.name, number), ())}
        return tuple(found[key] for key in sorted(found))

    def awake(self) -> Set[Identity]:
        """Return the previews that stay awake: those that no person put to sleep, and those that they use, directly or
        not.
        """
        found: set[Identity] = set()
        ahead = [identity for identity, spec in self.specs.items() if not spec.choices.sleep_requested]
        while ahead:
            identity = ahead.pop()
            if identity in found:
                continue
            found.add(identity)
            if self.specs[identity].prepared:  # it calls nobody yet
                continue
            for link in self.specs[identity].links.targets:
                target = self.targets.get((link.target, link.number))
                if target is not None:
                    ahead.append(Identity(target.id.repository_id, target.id.number))
        return found


@dataclass(frozen=True, slots=True)
class LinkContext:
    """The pull request whose links are resolved. `known` holds the links that its spec has now.

    `starts` means that none of its services has started. `now` is GitHub's clock.
    """

    platform: Platform
    repository: Repository
    naming: Names
    number: int
    author: str
    branch: str
    mentions: tuple[str, ...] = ()
    choices: tuple[LinkOverride, ...] = ()
    known: tuple[Link, ...] = ()
    starts: bool = False
    now: datetime | None = None


def resolved(context: LinkContext, index: LinkIndex, permissions: Permissions) -> tuple[Link, ...] | Reason:
    """Return one link for each `uses` entry that has an address, or the reason why the preview waits for another."""
    found: list[Link] = []
    for service in context.repository.services:
        for use in service.uses:
            link = _link(service.name, use, context, index, permissions)
            if use.required and not link.number and not link.own:
                return messages.link_required(use.service, link.why)
            if link.url:
                found.append(link)
    return tuple(found)


def partners(context: LinkContext, index: LinkIndex) -> tuple[PreviewSpec, ...]:
    """Return the previews that belong together with this pull request, by branch or because a description names the
    other. Only links that would lead there count: both authors need write access then.
    """
    uses = [u for s in context.repository.services for u in s.uses if _may_pair(s.name, u, context, index)]
    found = {_key(r): r for u in uses for specs in _paired(u.service, context, index) for r in specs}
    return tuple(found[key] for key in sorted(found))


def _may_pair(service: str, use: Use, context: LinkContext, index: LinkIndex) -> bool:
    """Return whether the link of one `uses` entry may lead to a preview that belongs together with this one."""
    choice = _choice(use, context)
    if choice is None or choice.to == DEFAULT:
        return use.same_branch and _own(use, context) is None
    if choice.to == STAGING or _chosen(service, use, choice, context, index):
        return False
    now = _now(service, use, context)
    return now is not None and now.paired  # the pair stays until the chosen preview exists


def _choice(use: Use, context: LinkContext) -> LinkOverride | None:
    return next((c for c in context.choices if c.service == use.service), None)


def _now(service: str, use: Use, context: LinkContext) -> Link | None:
    """Return the link that the served spec has now."""
    return next((k for k in context.known if (k.service, k.target) == (service, use.service)), None)


def preview_name(service: str, number: int, platform: Platform) -> str:
    """Return the name of the preview in which a service of a pull request runs, `shop#17`.

    A preview has the name of its repository on every surface. Only a command names the service: `/preview use api#17`.
    """
    repository = platform.owner(service)
    return f"{repository.name if repository else service}#{number}"


def source(link: Link, platform: Platform) -> str:
    """Return where a link leads, in words for people: `shop#17`, `this preview` or `staging`."""
    return preview_name(link.target, link.number, platform) if link.number else _no_number(link)


def served_source(link: Link, observed: EngineState) -> str:
    """Return where a link leads, as `source` does, from the previews that are served."""
    if not link.number:
        return _no_number(link)
    specs = (s.specs.get(link.number) for s in observed.sets.values())
    served = (r.names.repository for r in specs if r and any(s.name == link.target for s in r.services))
    return f"{next(served, link.target)}#{link.number}"


def _no_number(link: Link) -> str:
    return "this preview" if link.own else "staging"


def default(platform: Platform, repository: Repository, naming: Names) -> tuple[Link, ...]:
    """Return the links of a preview for which no person chose anything, without any other previews."""
    context = LinkContext(platform, repository, naming, 0, "", "")
    found = (_fallback(s.name, u, context) for s in repository.services for u in s.uses)
    return tuple(link for link in found if link.url)


def _link(service: str, use: Use, context: LinkContext, index: LinkIndex, permissions: Permissions) -> Link:
    choice = _choice(use, context)
    if choice is not None and choice.to == STAGING:
        return _staging(service, use, context, LinkReason(LinkCause.CHOSEN, choice.by))
    if choice is not None and choice.to != DEFAULT:
        return _chosen(service, use, choice, context, index) or _unchanged(
            service, use, choice, context, index, permissions
        )
    if use.same_branch and _own(use, context) is None:
        return _pair(service, use, context, index, permissions)
    return _fallback(service, use, context)


def _chosen(service: str, use: Use, choice: LinkOverride, context: LinkContext, index: LinkIndex) -> Link | None:
    """Return the link to the preview that a person chose; None while it does not exist or may not be used."""
    number = int(choice.to)
    if _own(use, context) is not None and number == context.number:
        return _fallback(service, use, context)
    target = None if choice.refused else _target(service, use, number, context, index)
    return _to(service, use, target, context, LinkReason(LinkCause.CHOSEN, choice.by)) if target else None


def _target(service: str, use: Use, number: int, context: LinkContext, index: LinkIndex) -> PreviewSpec | None:
    """Return the preview of this number if a link may lead there; else None."""
    found = index.target(use.service, number)
    return found if found and _leads(service, use, found, context) else None


def _leads(service: str, use: Use, target: PreviewSpec, context: LinkContext) -> bool:
    """Return whether a link may lead to a preview: a running one, or a prepared one under these conditions.

    A link leads to one that waits only from services that have not started, so that they start once, with the final
    address. It stays there for as long as `COMING`, and then falls back. A required preview must answer.
    """
    if not target.prepared:
        return True
    if use.required or context.now is None or context.now - target.times.head_since >= COMING:
        return False
    now = _now(service, use, context)
    return context.starts or (now is not None and now.number == target.id.number)


def _unchanged(
    service: str, use: Use, choice: LinkOverride, context: LinkContext, index: LinkIndex, permissions: Permissions
) -> Link:
    """Return the current link until the chosen preview exists: a mistyped number must not break a working link.

    A link to the chosen preview itself falls back, because its target is gone. A preview that the person may not read
    is treated as missing, and its own comment does not mention the choice.
    """
    number = int(choice.to)
    why = LinkReason(LinkCause.UNTIL_CHOSEN, choice.by, (f"{use.service}#{number}",))
    wanted = 0 if choice.refused else number
    now = _now(service, use, context)
    if now is not None and now.paired:
        found = _pair(service, use, context, index, permissions)  # checks the permissions of both authors again
        if found.number:
            return found if found.number == number else replace(found, why=why, wanted=wanted)
    elif now is not None and now.number != number:
        target = _target(service, use, now.number, context, index)
        if target is not None:
            return replace(_to(service, use, target, context, why), wanted=wanted)
        if not now.number and not now.own:
            return _staging(service, use, context, why, wanted)
    return _fallback(service, use, context, why, wanted)


def _pair(service: str, use: Use, context: LinkContext, index: LinkIndex, permissions: Permissions) -> Link:
    """Return the link to the one preview that belongs together with this one. Check permissions first, so that the
    reason does not mention previews that may not be used.
    """
    before = next((k for k in context.known if (k.service, k.target) == (service, use.service) and k.paired), None)
    coming: list[PreviewSpec] = []
    for candidates in _paired(use.service, context, index):
        rights = {_key(r): _rights(context, r, permissions) for r in candidates}
        allowed = [r for r in candidates if rights[_key(r)] <= {*WRITERS}]
        unsure = [r for r in candidates if rights[_key(r)] <= {*WRITERS, Permission.UNKNOWN} and r not in allowed]
        coming += [r for r in allowed if not _leads(service, use, r, context)]
        allowed, unsure = ([r for r in found if _leads(service, use, r, context)] for found in (allowed, unsure))
        if before and not allowed and [r.id.number for r in unsure] == [before.number]:
            allowed = unsure  # unknown permissions do not break an existing link
        if len(allowed) > 1:
            several = tuple(f"{use.service}#{r.id.number}" for r in allowed)
            return _fallback(service, use, context, LinkReason(LinkCause.AMBIGUOUS, previews=several))
        if allowed:
            same = allowed[0].pull_request.branch == context.branch
            why = LinkReason(LinkCause.SAME_BRANCH if same else LinkCause.NAMED)
            return replace(_to(service, use, allowed[0], context, why), paired=True)
        if unsure:
            return _fallback(service, use, context, LinkReason(LinkCause.UNTIL_CONFIRMED))
    if coming:
        number = coming[0].id.number
        why = LinkReason(LinkCause.UNTIL_BUILT, previews=(f"{use.service}#{number}",))
        return replace(_fallback(service, use, context, why, number), paired=True)
    named = _named_in_description(use.service, context)
    if named:
        return _fallback(service, use, context, LinkReason(LinkCause.UNTIL_NAMED, previews=(named,)))
    gone = (before.number or before.wanted) if before else 0
    if gone and index.target(use.service, gone) is None:
        why = LinkReason(LinkCause.PAIR_GONE, previews=(f"{use.service}#{gone}",))
        return replace(_fallback(service, use, context, why, gone), paired=True)
    return _fallback(service, use, context)


def _rights(context: LinkContext, target: PreviewSpec, permissions: Permissions) -> set[Permission]:
    """Return the permissions of both authors in both repositories."""
    return {
        permissions.on(slug, login)
        for slug in (context.repository.slug, target.pull_request.slug)
        for login in (context.author, target.pull_request.author)
    }


def _paired(service: str, context: LinkContext, index: LinkIndex) -> tuple[list[PreviewSpec], list[PreviewSpec]]:
    """Return the previews of another repository that answer for a service: first those that name this pull request or
    that it names, then those with the same branch.
    """
    us = f"{context.repository.slug}#{context.number}".lower()
    said = [*(index.named[m] for m in context.mentions if m in index.named), *index.naming.get(us, ())]
    named = [r for r in said if index.target(service, r.id.number) is r]
    branched = index.branches.get((service, context.branch), ()) if context.branch else ()
    return _others(named, context), _others(branched, context)


def _others(specs: Iterable[PreviewSpec], context: LinkContext) -> list[PreviewSpec]:
    found = {_key(r): r for r in specs if r.pull_request.slug != context.repository.slug}
    return [found[key] for key in sorted(found)]


def _named_in_description(service: str, context: LinkContext) -> str:
    """Return the pull request of a service's repository that the description names, as `owner/name#17`; else empty."""
    repository = context.platform.owner(service)
    slug = repository.slug.lower() if repository else ""
    return next((m for m in context.mentions if m.partition("#")[0] == slug), "")


def _to(service: str, use: Use, target: PreviewSpec, context: LinkContext, why: LinkReason) -> Link:
    made = next(s for s in target.services if s.name == use.service)
    host = target.names.host(made.name)
    public = names.url(context.platform, host) if host else ""
    port = made.web.port if made.web and made.web.port else 0
    return Link(
        service,
        use.service,
        use.variables,
        url=names.inside(context.platform, made, target.names) or public,
        public=public,
        why=why,
        number=target.id.number,
        namespace=target.names.namespace,
        port=port,
    )


def _fallback(service: str, use: Use, context: LinkContext, why: LinkReason | None = None, wanted: int = 0) -> Link:
    """Return the link to the preview's own service, or to staging."""
    own = _own(use, context)
    if own is None:
        return _staging(service, use, context, why, wanted)
    host = context.naming.host(own.name)
    public = names.url(context.platform, host) if host else ""
    url = names.inside(context.platform, own, context.naming)
    why = why or LinkReason(LinkCause.OWN)
    return Link(service, use.service, use.variables, url, public, why, wanted=wanted, own=True)


def _staging(service: str, use: Use, context: LinkContext, why: LinkReason | None = None, wanted: int = 0) -> Link:
    found = dict(context.platform.staging).get(use.service)
    if found is None and _own(use, context) is not None:
        return _fallback(service, use, context, replace(why or LinkReason(), no_staging=True), wanted)
    url, public = (found.url, found.public) if found else ("", "")
    return Link(service, use.service, use.variables, url, public, why or LinkReason(), wanted=wanted)


def _own(use: Use, context: LinkContext) -> Service | None:
    """Return the used service of this same preview, if it can be called."""
    own = next((s for s in context.repository.services if s.name == use.service), None)
    return own if own and names.inside(context.platform, own, context.naming) else None


def _key(spec: PreviewSpec) -> tuple[int, int]:
    return spec.id.repository_id, spec.id.number


def _name(spec: PreviewSpec) -> str:
    return f"{spec.pull_request.slug}#{spec.id.number}".lower()


def callers(spec: PreviewSpec, index: LinkIndex) -> tuple[Caller, ...]:
    """Return the previews that may call this one, sorted."""
    calls = {Caller(k.target, other.names.namespace, k.port) for other, k in index.users(spec) if k.port}
    return tuple(sorted(calls))


def injected(spec: PreviewSpec, platform: Platform, index: LinkIndex) -> tuple[Injected, ...]:
    """Return the variables that follow from addresses: a service's own, and those of all callers from a browser."""
    own = [names.url(platform, host) for host in spec.names.hosts.values()]
    calling = [names.url(platform, host) for other, _ in index.users(spec) for host in other.names.hosts.values()]
    values: dict[str, str] = {"origins": ",".join(dict.fromkeys([*own, *calling]))}
    found: list[Injected] = []
    for service in spec.services:
        host = spec.names.host(service.name)
        values["public"] = names.url(platform, host) if host else ""
        found += [Injected(service.name, variable, values[part]) for part, variable in service.address]
    return tuple(found)


@dataclass(frozen=True, slots=True)
class SetByHand:
    """A link to one of our previews that a person set in Argo CD. `spec` is None if that preview does not exist."""

    target: str
    preview: str
    spec: PreviewSpec | None


def all_set_by_hand(observed: EngineState, platform: Platform, index: LinkIndex) -> dict[Identity, Sequence[SetByHand]]:
    """Return the links that people set in Argo CD to one of our previews, by the preview that has them."""
    ending = [p.spec.names for i, p in observed.previews.items() if observed.spec(i) is None]
    found = {
        i: set_by_hand(p.manual_overrides, platform, index, ending)
        for i, p in observed.previews.items()
        if p.manual_overrides
    }
    return {identity: links for identity, links in found.items() if links}


def set_by_hand(
    parameters: Iterable[tuple[str, str]], platform: Platform, index: LinkIndex, ending: Collection[Names] = ()
) -> Sequence[SetByHand]:
    """Return the links among an Application's own parameters that point to a preview, even to one that does not exist.

    Skip links to a preview that still runs without a spec (`ending`), because it exists until its removal is complete.
    """
    found = []
    for name, value in parameters:
        target = re.fullmatch(r"links\.(.+)\.url", name)
        host = host_of(value)
        if target and not any(n.answers(host) for n in ending) and (led := _preview_at(host, platform, index)):
            found.append(SetByHand(target[1], *led))
    return found


def _preview_at(host: str, platform: Platform, index: LinkIndex) -> tuple[str, PreviewSpec | None] | None:
    """Return the preview that a host belongs to, with its spec; None for any other address."""
    for spec in index.specs.values():
        if spec.names.answers(host):
            return f"{spec.names.repository}#{spec.id.number}", spec
    for repository in platform.repositories:
        for number in {int(digits) for digits in re.findall(r"[1-9][0-9]{0,9}", host)}:
            if names.naming(platform, repository, number).answers(host):
                return f"{repository.name}#{number}", None
    return None


def different(old: Iterable[Link], new: Iterable[Link]) -> list[Link]:
    """Return the new links whose targets have changed."""
    before = {(k.service, k.target): k for k in old}
    return [
        k for k in new if (b := before.get((k.service, k.target))) is None or (b.url, b.public) != (k.url, k.public)
    ]


def neighbours(platform: Platform, repository: Repository) -> tuple[str, ...]:
    """Return the names of the other repositories whose services this one uses, or that use its services."""
    found = set()
    for other in platform.repositories:
        if other.name != repository.name and (_uses(other, repository) or _uses(repository, other)):
            found.add(other.name)
    return tuple(sorted(found))


def _uses(one: Repository, other: Repository) -> bool:
    mine = {s.name for s in other.services}
    return any(u.service in mine for s in one.services for u in s.uses)

"""The status of every pull request. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from greenroom.core import messages
from greenroom.core.comment.context import DecidedPass
from greenroom.core.comment.sanitize import origin, plain
from greenroom.core.comment.serving import serves_only, serving
from greenroom.core.linking.links import SetByHand, source
from greenroom.core.model.ci import MissingImages
from greenroom.core.model.engine import Health, ObservedPreview, Running
from greenroom.core.model.github import CommentState, PullRequest
from greenroom.core.model.kinds import KINDS
from greenroom.core.model.spec import Identity, LinkCause, LinkReason, PreviewSpec, same_pods
from greenroom.core.model.status import Reason, Stage, Status, Used, User
from greenroom.core.model.verdicts import Go, Run, Stay, Verdict
from greenroom.core.policy import ci, images, labels
from greenroom.core.policy.expiry import overdue

BY_HAND = "an address set by hand"
NEWS = timedelta(days=1)
"""Time for which the comment mentions that the preview's data was reset to its seed."""


def statuses(decided: DecidedPass) -> dict[Identity, Status]:
    """Return one status for every pull request that is listed or whose preview exists."""
    return {identity: _status(identity, verdict, decided) for identity, verdict in decided.desired.verdicts.items()}


def _status(identity: Identity, verdict: Verdict, decided: DecidedPass) -> Status:
    preview = decided.context.facts.observed.previews.get(identity)
    spec = decided.context.facts.observed.spec(identity) or (preview.spec if preview else None)
    stage, reason = _stage(identity, verdict, preview, decided)
    hold = decided.plan.holds.get(identity)
    if hold:
        stage, reason = Stage.HELD, reason if isinstance(verdict, Stay) else hold.reason
        if hold.key:
            reason = messages.with_release(reason, f"{decided.context.repository.name}#{identity.number}")
    pull_request = decided.desired.pull_requests.get(identity) or confirmed(identity, decided)
    serves = spec is not None and not isinstance(verdict, Go)
    head = pull_request.head_sha if pull_request else ""
    return Status(
        identity=identity,
        name=f"{decided.context.repository.name}#{identity.number}",
        repository=decided.context.repository.name,
        slug=decided.context.repository.slug,
        title=plain(pull_request.title) if pull_request else "",
        author=pull_request.author.login if pull_request else (spec.pull_request.author if spec else ""),
        url=pull_request.url if pull_request else "",
        stage=stage,
        reason=reason,
        services=_services(spec, preview, pull_request),
        links=_links(spec, preview, decided) if spec else (),
        used_by=_users(identity, spec, decided),
        answer=decided.desired.answers.get(identity),
        created=spec.times.created if spec else None,
        expires=decided.desired.expiry(identity).at if spec else None,
        expires_why=decided.desired.expiry(identity).why if spec else "",
        kept=pull_request is not None
        and labels.carries(pull_request.labels, decided.context.platform.lifetime.keep_label),
        head_sha=head,
        serves_head=bool(serves and spec and spec.build.head_sha == head and serves_only(spec, preview)),
        serving=bool(preview and any(s.ready and s.url for s in preview.services)),
        log=preview.log if preview else (),
        hold=hold.key if hold else None,
        warning=_warning(identity, decided) if serves and stage is not Stage.EXPIRING and not hold else None,
        manual_overrides=tuple(name for name, _ in preview.manual_overrides) if preview else (),
        position=verdict.position if isinstance(verdict, Stay) else 0,
        overdue=bool(hold and hold.key and spec and _overdue(identity, spec, decided)),
        seeds=tuple(_data_sources(spec, seeded=True)) if spec else (),
        logins=_logins(spec) if spec else (),
        resettable=bool(serves and spec and not spec.prepared and spec.resettable),
        migrations=preview.migrations if preview and serves and _of_head(spec, head, preview) else (),
    )


def _services(
    spec: PreviewSpec | None, preview: ObservedPreview | None, pull_request: PullRequest | None
) -> tuple[Running, ...]:
    """Return what runs. A service that the pull request does not change names the branch that its image is from."""
    found = []
    for each in preview.services if preview else ():
        service = next((s for s in spec.services if s.name == each.service), None) if spec else None
        if spec and service and pull_request and images.runs_base(service, pull_request, spec):
            version = next(v for v in spec.build.versions if v.service == each.service)
            if version.digest == each.digest and version.sha not in (pull_request.head_sha, pull_request.merge_sha):
                note = "; ".join(filter(None, (each.note, "image of the base branch")))
                found.append(replace(each, note=note))
                continue
        found.append(each)
    return tuple(found)


def _of_head(spec: PreviewSpec | None, head: str, preview: ObservedPreview) -> bool:
    """Return whether the pods of a preview are those of a pull request's head, so that its migration is, too."""
    return spec is not None and spec.build.head_sha == head and same_pods(preview.spec, spec)


def _overdue(identity: Identity, spec: PreviewSpec, decided: DecidedPass) -> bool:
    expires = decided.desired.expiry(identity).at
    return overdue(spec, decided.context.platform.lifetime, expires, decided.context.now)


def _links(spec: PreviewSpec, preview: ObservedPreview | None, decided: DecidedPass) -> tuple[Used, ...]:
    """Return the targets of the links. A person's change in Argo CD overrides them there, and here too."""
    manual_overrides = dict(preview.manual_overrides) if preview else {}
    gone = {k.target: k.preview for k in _set_by_hand(preview, decided) if k.spec is None}
    found = []
    for link in spec.links.targets:
        target = decided.context.index.target(link.target, link.number)
        reason = messages.link_reason(link.target, link.why)
        url = manual_overrides.get(f"links.{link.target}.url")
        if url:  # the chart treats an empty one as unset
            missing = f"{_may_name(gone[link.target], spec)} does not exist" if link.target in gone else ""
            found.append(Used(link.service, link.target, BY_HAND, missing, origin(url)))
        elif target is not None:
            back = any((k.number, k.target in _names(spec)) == (spec.id.number, True) for k in target.links.targets)
            why = f"{reason}; it uses this preview too" if back else reason
            why = f"{why}; it waits for its images" if target.prepared else why
            name = f"{target.names.repository}#{target.id.number}"
            found.append(
                Used(
                    link.service, link.target, name, why, link.url, target.pull_request.url, target.pull_request.private
                )
            )
        else:
            why = f"{reason}; it no longer has a preview" if link.number else reason
            own, name = link.why == LinkReason(LinkCause.OWN), source(link, decided.context.platform)
            found.append(Used(link.service, link.target, name, why, link.url, own=own))
    return tuple(found)


def _may_name(preview: str, spec: PreviewSpec) -> str:
    """Return the name of a missing preview for a comment. Only a private comment may name it."""
    return preview if spec.pull_request.private else "another preview"


def _names(spec: PreviewSpec) -> set[str]:
    return {s.name for s in spec.services}


def _users(identity: Identity, spec: PreviewSpec | None, decided: DecidedPass) -> tuple[User, ...]:
    using = {r.names.name: r for r, _ in decided.context.index.users(spec)} if spec else {}
    missing = {r.names.name: r for r in decided.context.index.missed_by(decided.context.repository, identity.number)}
    found = [(r, False) for r in using.values()] + [(r, True) for n, r in missing.items() if n not in using]
    users = [
        User(f"{r.names.repository}#{r.id.number}", r.pull_request.url, r.pull_request.private, misses)
        for r, misses in found
    ]
    known = {u.name for u in users}
    return tuple(users + [u for u in _linked_by_hand(identity, decided) if u.name not in known])


def _linked_by_hand(identity: Identity, decided: DecidedPass) -> list[User]:
    """Return the previews that people linked to this one in Argo CD."""
    name, found = f"{decided.context.repository.name}#{identity.number}", []
    for other, set_links in sorted(decided.manual_overrides.items()):
        spec = decided.context.facts.observed.spec(other)
        if spec and other != identity and any(k.preview == name for k in set_links):
            found.append(
                User(
                    f"{spec.names.repository}#{spec.id.number}",
                    spec.pull_request.url,
                    spec.pull_request.private,
                    manual_overrides=True,
                )
            )
    return found


def _set_by_hand(preview: ObservedPreview | None, decided: DecidedPass) -> Sequence[SetByHand]:
    return decided.manual_overrides.get(preview.identity, ()) if preview else ()


def confirmed(identity: Identity, decided: DecidedPass) -> PullRequest | None:
    """Return the pull request as a read by number found it, or None."""
    answer = decided.context.facts.confirmed.get(identity.number)
    return None if answer is None or isinstance(answer, str) else answer.pull_request


def _stage(
    identity: Identity, verdict: Verdict, preview: ObservedPreview | None, decided: DecidedPass
) -> tuple[Stage, Reason]:
    match verdict:
        case Go(reason=reason):
            reason = decided.plan.leaving.get(identity, reason)
            why = stuck(preview)
            return Stage.REMOVING, messages.does_not_go(reason, why) if why else reason
        case Stay(stage=stage):
            return stage, _while_it_runs(identity, verdict, preview, decided)
        case Run(waits=MissingImages() as missing, spec=spec) if not _refused(spec, preview, decided):
            return _prepared(spec, preview, _explained(identity, missing, decided))
        case Run(spec=spec, note=note):
            if refusal := _refused(spec, preview, decided):
                why = messages.not_taken_over(refusal)
                return Stage.FAILED, messages.failed(why, serving(spec, preview), messages.PLATFORM)
            if preview and (fix := _command_of_base(spec, preview, decided)):
                preview = replace(preview, fix=fix)
            if preview and not preview.fix:
                preview = replace(preview, fix=_unmigrated(spec, preview) or _base_broken(spec, preview, decided))
            sleep_label, now = decided.context.platform.lifetime.sleep_label, decided.context.facts.listing.read_at
            stage, reason = while_wanted(spec, preview, sleep_label, now)
            if (
                spec.choices.sleep_requested
                and reason.code == "ready"
                and any(not user.asleep for user, _ in decided.context.index.users(spec))
            ):
                reason = messages.kept_awake(sleep_label)
            gone = (k for k in _set_by_hand(preview, decided) if k.spec is None)
            named = ((k.target, _may_name(k.preview, spec)) for k in gone)
            note = next((messages.by_hand_gone(*each, spec.names.name) for each in named), note)
            warning = _warning(identity, decided) if stage is Stage.READY else None
            if warning:
                return Stage.EXPIRING, warning
            return stage, _with_note(identity, stage, reason, note, decided)


def _refused(spec: PreviewSpec, preview: ObservedPreview | None, decided: DecidedPass) -> str:
    """Return the engine's error if it could not apply the specs of this repository and this one waits; else empty."""
    waits = not spec.asleep and (preview is None or not same_pods(preview.spec, spec))
    return decided.context.facts.observed.refusals.get(spec.id.repository_id, "") if waits else ""


def _prepared(spec: PreviewSpec, preview: ObservedPreview | None, waits: Reason) -> tuple[Stage, Reason]:
    """Return the stage and reason of a preview whose services wait for their first images."""
    if preview is not None and preview.health is Health.FAILED:
        return Stage.FAILED, messages.not_prepared(waits, preview.why, preview.fix or messages.PLATFORM)
    if preview is not None and preview.health is Health.PREPARED:
        needs = (KINDS[need.kind].title for service in spec.services for need in service.needs)
        return Stage.WAITING, messages.prepared(waits, tuple(needs))
    return Stage.WAITING, waits


def stuck(preview: ObservedPreview | None) -> str:
    """Return why the deletion of a preview is stuck; empty if it is not."""
    return preview.why if preview and preview.health is Health.REMOVING else ""


def _with_note(identity: Identity, stage: Stage, reason: Reason, note: Reason | None, decided: DecidedPass) -> Reason:
    """Return the note on the versions in place of `ready`, or appended to a failure, where it may be the fix."""
    if note and note.code == "tag-moved":
        note = messages.with_redeploy(note, f"{decided.context.repository.name}#{identity.number}")
    if note and stage is Stage.FAILED:
        return replace(reason, text=f"{reason.text} {note.text}", fix=f"{reason.fix} {note.fix}".rstrip())
    return note if note and stage is Stage.READY else reason


def _while_it_runs(identity: Identity, verdict: Stay, preview: ObservedPreview | None, decided: DecidedPass) -> Reason:
    """Return the reason of a verdict; if it keeps new commits from a preview, add what keeps running."""
    waits = verdict.hold or verdict.stage in (Stage.BLOCKED, Stage.WAITING)
    spec = decided.context.facts.observed.spec(preview.identity) if preview else None
    reason = _explained(identity, verdict.missing, decided) if verdict.missing else verdict.reason
    if spec is None or not waits:
        return reason
    return messages.meanwhile(reason, serving(spec, preview), promised=verdict.missing is not None)


def _explained(identity: Identity, missing: MissingImages, decided: DecidedPass) -> Reason:
    """Return why a preview waits for images, with the explanation of CI if it is known."""
    known, pull_request = decided.ci.get(identity), decided.desired.pull_requests.get(identity)
    if known is None or pull_request is None:
        return messages.waiting_for_image(missing)
    return messages.waiting_for_image(missing, ci.why_missing(pull_request, missing, known, decided.context.now))


def _warning(identity: Identity, decided: DecidedPass) -> Reason | None:
    """Return when a preview expires, once its warning period has started; None before that."""
    expiry = decided.desired.expiry(identity)
    if expiry.at is None or not (expiry.warned or expiry.warn):
        return None
    warned = decided.plan.memories.get(identity, CommentState()).warned_at
    at = max(expiry.at, warned + decided.context.platform.lifetime.warn_before) if warned else expiry.at
    return messages.expiring(at, expiry.why, decided.context.platform.lifetime)


def while_wanted(
    spec: PreviewSpec, preview: ObservedPreview | None, sleep_label: str, now: datetime
) -> tuple[Stage, Reason]:
    """Return the stage and reason of a preview that should exist, for its comment and its address."""
    if spec.asleep:
        return Stage.ASLEEP, messages.asleep(sleep_label)
    if preview is None or preview.health is Health.REMOVING:
        return Stage.STARTING, messages.starting()
    runs = serving(spec, preview)
    ending = tuple(s.service for s in preview.services if s.leaves) if same_pods(preview.spec, spec) else ()
    match preview.health:
        case Health.FAILED if not _superseded(spec, preview):
            return Stage.FAILED, messages.failed(preview.why, runs, preview.fix)
        case Health.STARTING | Health.UPDATING if preview.why:
            return Stage.STARTING, messages.unreachable(preview.why)
        case Health.READY if same_pods(preview.spec, spec) and not runs.previous and not runs.down:
            return Stage.READY, _ready(spec, preview, now)
        case _ if runs.previous or (runs.current and not same_pods(preview.spec, spec)):
            return Stage.UPDATING, messages.updating(runs, () if runs.previous else ending)
        case _ if ending and not runs.down:
            return Stage.UPDATING, messages.updating(runs, ending)
        case _:
            return Stage.STARTING, messages.starting(runs)


def _superseded(spec: PreviewSpec, preview: ObservedPreview) -> bool:
    """Return whether the failing service has another version in the spec than the one that the engine applies still."""

    def version(of: PreviewSpec) -> str:
        return next((v.digest for v in of.build.versions if v.service == preview.failing), "")

    return bool(preview.failing) and version(preview.spec) != version(spec)


NO_TABLE = re.compile(r"no such table|(relation|table) \S+ (does not|doesn't) exist", re.IGNORECASE)
"""Matches the errors that SQLite, PostgreSQL and MySQL report for a table that does not exist."""


def _unmigrated(spec: PreviewSpec, preview: ObservedPreview) -> str:
    """Return what to do if the failing service misses a table and has no migration; empty otherwise."""
    service = next((s for s in spec.services if s.name == preview.failing), None)
    if service is None or service.migrate or not any(NO_TABLE.search(line) for line in preview.log):
        return ""
    owner = next((need.service for need in service.shared_needs), service.name)
    migrates = any(s.name == owner and s.migrate for s in spec.services)
    return "" if migrates else messages.migration_missing(owner)


def _base_broken(spec: PreviewSpec, preview: ObservedPreview, decided: DecidedPass) -> str:
    """Return what to do if the failing service runs the base branch's image; empty if it runs its own."""
    base = _base_of_failing(spec, preview, decided)
    if base and (others := _not_of_base(spec, preview, decided)):
        return messages.base_depends(preview.failing, base, others)
    return messages.base_broken(preview.failing, base) if base else ""


def _not_of_base(spec: PreviewSpec, preview: ObservedPreview, decided: DecidedPass) -> tuple[str, ...]:
    """Return what the failing service depends on that is not from its base branch: services of this preview that the
    pull request changes, and other previews.
    """
    pull_request = decided.desired.pull_requests[preview.identity]
    failing = next(s for s in spec.services if s.name == preview.failing)
    links = [k for k in spec.links.targets if k.service == preview.failing]
    near = {k.target for k in links if k.own} | {need.service for need in failing.shared_needs}
    others = [s for s in spec.services if s.name in near - {preview.failing} and images.touched(s, pull_request)]
    changed = [s.paths and pull_request.changed is not None for s in others]
    says = [", which this pull request changes" if c else ", whose image is from this pull request" for c in changed]
    found = [f"`{plain(s.name)}`{said}" for s, said in zip(others, says, strict=True)]
    for link in links:
        target = decided.context.index.target(link.target, link.number) if link.number else None
        if target is not None:
            hidden = target.pull_request.private and not spec.pull_request.private
            name = "another preview" if hidden else f"{target.names.repository}#{target.id.number}"
            there = decided.context.facts.observed.previews.get(target.id)
            failed = ", which has failed" if there and there.health is Health.FAILED else ""
            found.append(f"`{plain(link.target)}` of {plain(name)}{failed}")
    return tuple(found)


def _command_of_base(spec: PreviewSpec, preview: ObservedPreview, decided: DecidedPass) -> str:
    """Return what to do if a command does not run in the base branch's image; empty otherwise."""
    for setting in ("migrate", "command"):
        if preview.fix == messages.command_not_found(setting, preview.failing):
            base = _base_of_failing(spec, preview, decided)
            return messages.command_not_found(setting, preview.failing, base) if base else ""
    return ""


def _base_of_failing(spec: PreviewSpec, preview: ObservedPreview, decided: DecidedPass) -> str:
    """Return the base branch if the failing service runs its image; empty if it runs its own."""
    pull_request = decided.desired.pull_requests.get(preview.identity)
    service = next((s for s in spec.services if s.name == preview.failing), None)
    if pull_request is None or service is None or not images.runs_base(service, pull_request, spec):
        return ""
    known = next(v for v in spec.build.versions if v.service == service.name)
    if known.sha in (pull_request.head_sha, pull_request.merge_sha):
        return ""  # the base branch has this change, too, since the image was chosen
    return pull_request.base_ref


def _data_sources(spec: PreviewSpec, *, seeded: bool = False) -> list[str]:
    """Return the databases that a person can start over, each with the dump that it started from.

    With `seeded`, leave out those that started empty.
    """
    found = []
    for service, need in spec.resettable:
        seed = spec.data.seed(service, need.name)
        if seed:
            found.append(messages.data_source(need.name, need.seed, seed.dump))
        elif not seeded:
            found.append(messages.data_source(need.name))
    return found


def _logins(spec: PreviewSpec) -> tuple[str, ...]:
    """Return the accounts in the seeds that a preview's databases started from, each once."""
    seeded = (need for service, need in spec.resettable if spec.data.seed(service, need.name))
    return tuple(dict.fromkeys(messages.login(login) for need in seeded for login in need.seed_options.logins))


def _ready(spec: PreviewSpec, preview: ObservedPreview, now: datetime) -> Reason:
    if preview.manual_overrides:
        return messages.changed_by_hand(preview.manual_overrides)
    if spec.data.reset_at and spec.data.generation > 1 and now - spec.data.reset_at < NEWS:
        if spec.data.by:
            return messages.data_replaced(spec.data.reset_at, spec.data.by, _data_sources(spec))
        return messages.data_renewed(spec.data.reset_at)
    return messages.ready()

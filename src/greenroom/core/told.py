"""What people are told: the status of every pull request, and the text of its one comment. Pure.

A comment is written when a person would want to know: its text holds no relative time and nothing that ticks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from greenroom.core import labels, reasons
from greenroom.core.actions import Tell
from greenroom.core.activity import overdue
from greenroom.core.catalogue import Platform, Repository
from greenroom.core.comment import visible
from greenroom.core.links import SAME, Neighbours
from greenroom.core.model import Facts, Health, Identity, Memory, ObservedPreview, PullRequest, Running
from greenroom.core.plan import Plan
from greenroom.core.rows import Row, alike
from greenroom.core.status import Reason, Stage, Status, Used, User
from greenroom.core.text import code, fence, inline, markdown, origin, plain
from greenroom.core.verdicts import Desired, Go, Run, Stay, Verdict

NEWS = timedelta(days=1)
"""How long a comment tells that a preview's data began anew."""


@dataclass(frozen=True, slots=True)
class Told:
    """Everything from which the statuses of one repository follow."""

    facts: Facts
    platform: Platform
    repository: Repository
    desired: Desired
    plan: Plan
    around: Neighbours
    now: datetime


def statuses(told: Told) -> dict[Identity, Status]:
    """One status for every pull request that is listed or whose preview exists."""
    return {identity: _status(identity, verdict, told) for identity, verdict in told.desired.verdicts.items()}


def _status(identity: Identity, verdict: Verdict, told: Told) -> Status:
    preview = told.facts.observed.previews.get(identity)
    row = told.facts.observed.row(identity) or (preview.row if preview else None)
    stage, reason = _stage(identity, verdict, preview, told)
    hold = told.plan.holds.get(identity)
    if hold:
        stage, reason = Stage.HELD, reason if isinstance(verdict, Stay) else hold.reason
        if hold.key:
            name = f"{told.repository.name}#{identity.number}"
            reason = replace(reason, fix=f"{reason.fix} `greenroom release {name}`.")
    pull_request = told.desired.pull_requests.get(identity) or _confirmed(identity, told)
    serves = row is not None and not isinstance(verdict, Go)
    return Status(
        identity=identity,
        name=f"{told.repository.name}#{identity.number}",
        repository=told.repository.name,
        slug=told.repository.slug,
        title=plain(pull_request.title) if pull_request else "",
        author=pull_request.author.login if pull_request else (row.author if row else ""),
        url=pull_request.url if pull_request else "",
        stage=stage,
        reason=reason,
        services=preview.services if preview else (),
        links=_links(row, preview, told) if row else (),
        used_by=_users(identity, row, told),
        answer=told.desired.answers.get(identity),
        created=row.created if row else None,
        expires=told.desired.expiry(identity).at if row else None,
        expires_why=told.desired.expiry(identity).why if row else "",
        kept=pull_request is not None and labels.carries(pull_request.labels, told.platform.lifetime.keep_label),
        serving=bool(preview and any(s.ready for s in preview.services)),
        log=preview.log if preview else (),
        hold=hold.key if hold else "",
        warning=_warning(identity, told) if serves and stage is not Stage.EXPIRING and not hold else None,
        by_hand=tuple(name for name, _ in preview.by_hand) if preview else (),
        position=verdict.position if isinstance(verdict, Stay) else 0,
        overdue=bool(hold and hold.key and row and _overdue(identity, row, told)),
    )


def _overdue(identity: Identity, row: Row, told: Told) -> bool:
    expires = told.desired.expiry(identity).at
    return overdue(row, told.platform.lifetime, expires, told.now)


def _links(row: Row, preview: ObservedPreview | None, told: Told) -> tuple[Used, ...]:
    """Where the links lead; what a person changed in Argo CD wins there, so it does here."""
    by_hand = dict(preview.by_hand) if preview else {}
    found = []
    for link in row.links:
        target = told.around.targets.get((link.target, link.number))
        url = by_hand.get(f"links.{link.target}.url")
        if url:  # the chart takes an empty one for none
            found.append(Used(link.service, link.target, "by hand", "changed in Argo CD", origin(url)))
        elif target is not None:
            back = any((k.number, k.target in _names(row)) == (row.number, True) for k in target.links)
            why = f"{link.why}; it uses this preview too" if back else link.why
            found.append(Used(link.service, link.target, link.name, why, link.url, target.url, target.private))
        else:
            why = f"{link.why}; it has no preview any more" if link.number else link.why
            found.append(Used(link.service, link.target, link.name, why, link.url))
    return tuple(found)


def _names(row: Row) -> set[str]:
    return {s.name for s in row.services}


def _users(identity: Identity, row: Row | None, told: Told) -> tuple[User, ...]:
    using = {r.naming.name: r for r, _ in told.around.users(row)} if row else {}
    missing = {r.naming.name: r for r in told.around.missed_by(told.repository, identity.number)}
    found = [(r, False) for r in using.values()] + [(r, True) for n, r in missing.items() if n not in using]
    return tuple(User(f"{r.repository}#{r.number}", r.url, r.private, misses) for r, misses in found)


def _confirmed(identity: Identity, told: Told) -> PullRequest | None:
    answer = told.facts.confirmed.get(identity.number)
    return None if answer is None or isinstance(answer, str) else answer.pull_request


def _stage(identity: Identity, verdict: Verdict, preview: ObservedPreview | None, told: Told) -> tuple[Stage, Reason]:
    match verdict:
        case Go(reason=reason):
            stuck = preview.why if preview and preview.health is Health.REMOVING else ""
            return Stage.REMOVING, reasons.does_not_go(reason, stuck) if stuck else reason
        case Stay(stage=stage, reason=reason):
            return stage, _while_it_runs(verdict, preview, told)
        case Run(row=row, note=note):
            stage, reason = _running(row, preview, told)
            warning = _warning(identity, told) if stage is Stage.READY else None
            if warning:
                return Stage.EXPIRING, warning
            return stage, _with_note(identity, stage, reason, note, told)


def _with_note(identity: Identity, stage: Stage, reason: Reason, note: Reason | None, told: Told) -> Reason:
    """Return the note on the versions in place of `ready`, or appended to a failure, where it may be the fix."""
    if note and note.code == "tag-moved":
        note = replace(note, fix=f"{note.fix} `greenroom roll {told.repository.name}#{identity.number}`.")
    if note and stage is Stage.FAILED:
        return replace(reason, text=f"{reason.text} {note.text}", fix=f"{reason.fix} {note.fix}".rstrip())
    return note if note and stage is Stage.READY else reason


def _while_it_runs(verdict: Stay, preview: ObservedPreview | None, told: Told) -> Reason:
    """Return the reason of a verdict; if it keeps new commits from a preview, add what keeps running."""
    waits = verdict.hold or verdict.stage in (Stage.BLOCKED, Stage.WAITING)
    says_so = verdict.reason.code == "image-missing"
    if preview is None or told.facts.observed.row(preview.identity) is None or not waits or says_so:
        return verdict.reason
    return reasons.meanwhile(verdict.reason, _serving(preview))


def _serving(preview: ObservedPreview) -> str:
    return next((s.sha for s in preview.services if s.ready), "")


def _warning(identity: Identity, told: Told) -> Reason | None:
    """When a preview goes by itself, from the day on which that is told."""
    expiry = told.desired.expiry(identity)
    if expiry.at is None or not (expiry.warned or expiry.warn):
        return None
    warned = told.plan.memories.get(identity, Memory()).warned_at
    at = max(expiry.at, warned + told.platform.lifetime.warn_before) if warned else expiry.at
    return reasons.expiring(at, expiry.why, told.platform.lifetime)


def _running(row: Row, preview: ObservedPreview | None, told: Told) -> tuple[Stage, Reason]:
    if row.asleep:
        return Stage.ASLEEP, reasons.asleep(told.platform.lifetime.sleep_label)
    if preview is None or preview.health is Health.REMOVING:
        return Stage.STARTING, reasons.starting()
    old = _serving(preview)
    match preview.health:
        case Health.FAILED:
            return Stage.FAILED, reasons.failed(preview.why, old, preview.fix)
        case Health.STARTING | Health.UPDATING if preview.why:
            return Stage.STARTING, reasons.unreachable(preview.why)
        case Health.STARTING:
            return Stage.STARTING, reasons.starting()
        case Health.READY if _current(row, preview):
            return Stage.READY, _ready(row, preview, told.facts.listing.read_at)
        case _:
            return Stage.UPDATING, reasons.updating(row.head_sha, old)


def _ready(row: Row, preview: ObservedPreview, now: datetime) -> Reason:
    if preview.by_hand:
        return reasons.changed_by_hand(preview.by_hand)
    if row.renewed and row.incarnation > 1 and now - row.renewed < NEWS:
        return reasons.data_renewed(row.renewed)
    return reasons.ready()


def _current(row: Row, preview: ObservedPreview) -> bool:
    running = {s.service: s.digest for s in preview.services}
    return alike(preview.row, row) and all(running.get(v.service) == v.digest for v in row.versions)


# --- the comment -------------------------------------------------------------------------------------------------


def tells(told: Told, all_statuses: Mapping[Identity, Status], concluded: frozenset[Identity]) -> tuple[Tell, ...]:
    """The comments to write: those whose text, memory or signature is not as it should be.

    A pull request that nobody asked a preview for gets none, and one whose removal is told keeps what it says; one that
    was told to wait is told that the wish was taken back.
    """
    found = []
    for identity, status in sorted(all_statuses.items()):
        pull_request = told.desired.pull_requests.get(identity)
        if pull_request is None or identity in concluded or (status.stage is Stage.NONE and not _waits(pull_request)):
            continue
        text = comment_text(status, told.platform, told.facts.listing.private)
        memory = told.plan.memories.get(identity, told.desired.memories.get(identity, Memory()))
        if identity.number not in told.facts.stale and not _says(pull_request, text, memory, told):
            found.append(Tell(identity, text, memory, status.reason))
    return tuple(found)


def _waits(pull_request: PullRequest) -> bool:
    """Return whether our comment promises or shows a preview. Only the heading of an edited comment counts."""
    comment, settled = pull_request.comment, (_heading(Stage.REMOVED), _heading(Stage.NONE))
    if comment is None:
        return False
    if not comment.trusted:
        return not any(heading in comment.body for heading in settled)
    told = visible(comment.body)
    return bool(told) and not told.startswith(settled)


def _says(pull_request: PullRequest, text: str, memory: Memory, told: Told) -> bool:
    block = told.facts.blocks.get(pull_request.identity.number)
    return (
        pull_request.comment is not None
        and block is not None
        and not block.stale_key
        and block.memory == memory
        and visible(pull_request.comment.body) == text.strip()
    )


def comment_text(status: Status, platform: Platform, private: bool) -> str:
    """The comment as people see it, Markdown. Log lines are in it only where the repository is private."""
    lines = [_heading(status.stage), "", markdown(str(status.reason))]
    if status.log and private:
        lines += ["", f"> `{code(status.log[-1], 300)}`"]
    if status.warning:
        lines += ["", markdown(str(status.warning))]
    if status.by_hand and status.reason.code != "by-hand":
        lines += ["", f"Changed in Argo CD by hand: {', '.join(inline(n) for n in status.by_hand)}."]
    if status.answer:
        lines += ["", f"> {markdown(str(status.answer))}"]
    if status.services:
        lines += ["", "| service | open | version |", "| --- | --- | --- |"]
        lines += [f"| {inline(s.service)} | {s.url or '-'} | {_version(s)} |" for s in status.services]
    for sentence in (_uses(status, private), _used_by(status, private)):
        lines += ["", sentence] if sentence else []
    if status.log and private:
        lines += ["", "<details><summary>Log</summary>", "", fence(status.log), "", "</details>"]
    if status.created and status.stage not in (Stage.REMOVED, Stage.REMOVING, Stage.NONE):
        lines += ["", _ways(platform, status)]
    return "\n".join(lines)


def _heading(stage: Stage) -> str:
    return "### No preview" if stage is Stage.NONE else f"### Preview {stage.value}"


def _version(running: Running) -> str:
    since = f"since {running.since:%Y-%m-%d %H:%M}" if running.since and running.ready else ""
    words = [running.sha[:7] or "-", since, "" if running.ready else "not ready", inline(running.note)]
    return ", ".join(w for w in words if w)


def _uses(status: Status, private: bool) -> str:
    """A sentence on what comes from elsewhere. A public comment leads to no private repository."""
    links = {link.target: link for link in status.links if link.why != SAME}
    said = []
    for link in links.values():
        why = f" ({inline(link.why)})" if link.why not in ("", link.name) else ""
        said.append(f"{inline(link.target)} from **{_named(link.name, link.page, link.private and not private)}**{why}")
    return f"Uses {', '.join(said)}." if said else ""


def _used_by(status: Status, private: bool) -> str:
    shown = [u for u in status.used_by if not (u.private and not private)]
    # Nobody looks at the comment on a removal again. A repository that becomes private later must not be linked there.
    lasting = status.stage is Stage.REMOVED and not private
    names = [_named(u.name, u.page, hidden=lasting) for u in shown]
    if len(shown) < len(status.used_by):
        names.append("another preview" if len(status.used_by) - len(shown) == 1 else "other previews")
    if not names:
        return ""
    if status.stage in (Stage.REMOVING, Stage.REMOVED):
        return f"{', '.join(names)} used it, and {'goes' if len(status.used_by) == 1 else 'go'} on without it."
    misses = all(u.misses for u in status.used_by)
    return f"{'Wanted' if misses else 'Used'} by {', '.join(names)}."


def _named(name: str, page: str, hidden: bool) -> str:
    return inline(name) if hidden or not page else f"[{inline(name)}]({page})"


def _ways(platform: Platform, status: Status) -> str:
    life = platform.lifetime
    used = next((link.target for link in status.links if link.why != SAME), "")
    other = f" Comment `/preview use {used}#N` to try it with another pull request's {used}." if used else ""
    gone = f" {reasons.lifespan(life, kept=status.kept)}".rstrip()
    off = (
        f"Take the label `{plain(platform.label)}` off to remove the preview." if status.stage is not Stage.HELD else ""
    )
    return f"<sub>{f'{off}{gone}{other}'.strip()} Times are UTC.</sub>"

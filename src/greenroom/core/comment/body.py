"""The visible text of the one comment on a pull request, as Markdown. Pure.

It contains no relative times and no running counters, so it changes only when a person would want to know.
"""

from __future__ import annotations

from collections.abc import Sequence

from greenroom.core import messages
from greenroom.core.comment.sanitize import code, fence, inline, markdown, plain
from greenroom.core.comment.statuses import BY_HAND
from greenroom.core.model.catalog import Platform
from greenroom.core.model.engine import Running
from greenroom.core.model.status import Stage, Status, User

MIGRATIONS = 40_000
"""Maximum number of characters of all migration reports in a comment. GitHub allows 65,536 for the whole comment."""


def comment_text(status: Status, platform: Platform, private: bool) -> str:
    """Return the visible comment as Markdown. It includes log lines and reports of migrations only if the repository is
    private: a report has the tables of a seed, and counts of their rows.
    """
    lines = [heading(status.stage), ""]
    if status.cause and private:
        lines += [f"`{code(status.cause, 300)}`", ""]
    lines += [markdown(str(status.reason))]
    if status.warning:
        lines += ["", markdown(str(status.warning))]
    if status.manual_overrides and status.reason.code != "by-hand":
        lines += [
            "",
            "These parameters were changed by hand in Argo CD:"
            f" {', '.join(inline(n) for n in status.manual_overrides)}.",
        ]
    if status.answer:
        lines += ["", f"> {markdown(str(status.answer))}"]
    if status.services:
        lines += ["", "| service | open | version |", "| --- | --- | --- |"]
        lines += [f"| {inline(s.service)} | {s.url or '-'} | {_version(s)} |" for s in status.services]
    logins = _logins(status) if private or platform.seeds.public_logins else ""
    for sentence in (_uses(status, private), _used_by(status, private), _data(status), logins):
        lines += ["", sentence] if sentence else []
    lines += _migrations(status) if private else []
    if status.log and private:
        lines += ["", "<details><summary>Log</summary>", "", fence(status.log), "", "</details>"]
    if status.created and status.stage not in (Stage.REMOVED, Stage.REMOVING, Stage.NONE):
        lines += ["", _ways(platform, status)]
    return "\n".join(lines)


def heading(stage: Stage) -> str:
    """Return the heading of a comment, which also tells later passes what it says."""
    return "### No preview" if stage is Stage.NONE else f"### Preview {stage.value}"


def _migrations(status: Status) -> list[str]:
    """Return what the migrations did, folded. Once the comment gets too long, the rest has one line each."""
    lines: list[str] = []
    for line, found in zip(messages.migration_lines(status.migrations), status.migrations, strict=True):
        details = messages.migration_details(found.report, found.service if len(status.migrations) > 1 else "")
        fits = sum(map(len, lines)) + len(details) < MIGRATIONS
        lines += ["", details if fits else markdown(line)]
    return lines


def _version(running: Running) -> str:
    since = f"since {running.since:%Y-%m-%d %H:%M}" if running.since and running.ready else ""
    words = [running.sha[:7] or "-", since, "" if running.ready else "not ready", inline(running.note)]
    return ", ".join(w for w in words if w)


def _uses(status: Status, private: bool) -> str:
    """Return a sentence on the services used from elsewhere. A public comment neither links to a private repository
    nor names it.
    """
    links = {link.target: link for link in status.links if not link.own}
    said = []
    for link in links.values():
        why = f" ({inline(link.why)})" if link.explained else ""
        hidden = link.private and not private
        name = "another preview" if hidden and not link.name.startswith(f"{link.target}#") else link.name
        said.append(f"{inline(link.target)} from **{_named(name, link.page, hidden)}**{why}")
    return f"Uses {', '.join(said)}." if said else ""


def _data(status: Status) -> str:
    """Return a sentence on the seeds, unless the preview is gone or the reason has it."""
    if status.stage in (Stage.REMOVING, Stage.REMOVED) or status.reason.code == "data-replaced" or not status.seeds:
        return ""
    how = " Comment `/preview reset` to reset the data." if status.resettable else ""
    return f"Data: {markdown('; '.join(status.seeds))}.{how}"


def _logins(status: Status) -> str:
    """Return who testers can log in as, unless the preview is gone."""
    gone = status.stage in (Stage.REMOVING, Stage.REMOVED)
    return "" if gone else " ".join(f"{markdown(login)}." for login in status.logins)


def _used_by(status: Status, private: bool) -> str:
    if status.stage not in (Stage.REMOVING, Stage.REMOVED):
        names = _user_names(status.used_by, status, private, " (link set by hand)")
        return f"{'Wanted' if all(u.misses for u in status.used_by) else 'Used'} by {names}." if names else ""
    moved, manual_overrides = ([u for u in status.used_by if u.manual_overrides is it] for it in (False, True))
    said = []
    if names := _user_names(moved, status, private):
        said.append(f"{names} used this preview and {'continues' if len(moved) == 1 else 'continue'} without it.")
    if names := _user_names(manual_overrides, status, private):
        links = "A link that was" if len(manual_overrides) == 1 else "Links that were"
        connect = "connects" if len(manual_overrides) == 1 else "connect"
        said.append(f"{links} set by hand in Argo CD still {connect} {names} to this preview.")
    return " ".join(said)


def _user_names(users: Sequence[User], status: Status, private: bool, mark: str = "") -> str:
    shown = [u for u in users if not (u.private and not private)]
    # The comment on a removal is never updated, so it must not link to a repository that may become private later.
    lasting = status.stage is Stage.REMOVED and not private
    names = [_named(u.name, u.page, hidden=lasting) + (mark if u.manual_overrides else "") for u in shown]
    if len(shown) < len(users):
        names.append("another preview" if len(users) - len(shown) == 1 else "other previews")
    return ", ".join(names)


def _named(name: str, page: str, hidden: bool) -> str:
    return inline(name) if hidden or not page else f"[{inline(name)}]({page})"


def _ways(platform: Platform, status: Status) -> str:
    life = platform.lifetime
    free = [link for link in status.links if link.name != BY_HAND]  # a command does not move the others
    used = next((link.target for link in sorted(free, key=lambda link: link.own)), "")
    other = f" Comment `/preview use {used}#N` to use {used} from the preview of pull request N." if used else ""
    held = status.stage is Stage.HELD  # it does not expire, and its reason says what ends the hold
    gone = "" if held else f" {messages.lifespan(life, kept=status.kept)}".rstrip()
    off = "" if held else f"Remove the label `{plain(platform.label)}` to remove the preview."
    return f"<sub>{f'{off}{gone}{other}'.strip()} Times are UTC.</sub>"

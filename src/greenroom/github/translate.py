"""Payloads of GitHub to core values. A key that is missing is a `KeyError` for the caller to turn into doubt."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from greenroom.core.model import (
    Activity,
    Actor,
    Comment,
    Identity,
    Kind,
    LabelEvent,
    PullRequest,
    Said,
    State,
)
from greenroom.github.markdown import plain_lines

Payload = Mapping[str, Any]
MARKER = "<!-- greenroom:"
PREFIX = "/preview"
LINES, LENGTH = 50, 200  # of commands in one comment
_WITH = re.compile(r"\s*Preview-with:\s*([\w.-]+/[\w.-]+#[1-9][0-9]{0,8})\s*", re.IGNORECASE)

_ACTIVITIES = {
    "HeadRefForcePushedEvent": ("pushed", "actor"),
    "IssueComment": ("commented", "author"),
    "PullRequestReview": ("reviewed", "author"),
    "ReopenedEvent": ("reopened", "actor"),
    "ReadyForReviewEvent": ("ready", "actor"),
    "ReviewRequestedEvent": ("requested", "actor"),
}


def time(text: str) -> datetime:
    """An aware time from GitHub's ISO 8601 with `Z`."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def actor(payload: Payload | None) -> Actor:
    """An actor of GraphQL or REST. GraphQL leaves `[bot]` off a bot's login; the REST form is ours."""
    if payload is None:
        return Actor("ghost", Kind.NOBODY)
    login = str(payload["login"])
    kind = payload.get("__typename") or payload.get("type")
    if kind == "Bot" or login.endswith("[bot]"):
        return Actor(f"{login.removesuffix('[bot]')}[bot]", Kind.BOT)
    return Actor(login, Kind.PERSON)


def pull_request(
    repository_id: int, node: Payload, comments: Iterable[Payload], me: str, prefix: str, now: datetime
) -> PullRequest:
    """A pull request of the list with all its comments. `now` bounds commit dates, which anybody can forge."""
    comments = tuple(comments)
    return PullRequest(
        identity=Identity(repository_id, int(node["number"])),
        title=str(node["title"]),
        url=str(node["url"]),
        author=actor(node["author"]),
        state=State(str(node["state"]).lower()),
        draft=bool(node["isDraft"]),
        head_sha=str(node["headRefOid"]),
        head_ref=str(node["headRefName"]),
        head_repository_id=node["headRepository"]["databaseId"] if node["headRepository"] else None,
        base_ref=str(node["baseRefName"]),
        base_sha=str(node["baseRefOid"]),
        changed=_changed(node["files"]),
        labels=frozenset(str(n["name"]) for n in node["labels"]["nodes"]),
        label_events=tuple(_label_event(n) for n in node["labelEvents"]["nodes"]),
        activities=_activities(node["activity"], me, now),
        created_at=time(node["createdAt"]),
        updated_at=time(node["updatedAt"]),
        closed_at=time(node["closedAt"]) if node["closedAt"] else None,
        merge_sha=node["potentialMergeCommit"]["oid"] if node["potentialMergeCommit"] else None,
        comment=comment(comments, me, prefix),
        mine=mine(comments, me),
        said=_said(comments, me),
        mentions=_mentions(str(node["body"] or "")),
    )


def _said(nodes: Iterable[Payload], me: str) -> tuple[Said, ...]:
    """The comments of others that hold a command: only their lines that begin with it, the last `LINES` of them.

    A line is taken whole or not at all: half of `payments#178` would be another command.
    """
    found = []
    for node in nodes:
        body = str(node["body"])
        lines = [_whole(line) for line in plain_lines(body) if _commands(line)] if PREFIX in body.lower() else []
        if lines and (by := actor(node["author"])).login != me:
            text = "\n".join(lines[-LINES:])
            found.append(Said(int(node["databaseId"]), by, text, edited=node["editor"] is not None))
    return tuple(found)


def _commands(line: str) -> bool:
    return line.lstrip().lower().startswith(PREFIX)


def _whole(line: str) -> str:
    """The line, or what is no command for anybody but shows which line was meant."""
    return line if len(line) <= LENGTH else f"{line[: LENGTH - 1]}…"


def _mentions(body: str) -> tuple[str, ...]:
    """The pull requests that a description says belong to it, at most ten: `Preview-with: owner/repo#17`."""
    found = {match[1].lower() for line in plain_lines(body) if (match := _WITH.fullmatch(line))}
    return tuple(sorted(found))[:10]


def _changed(files: Payload | None) -> frozenset[str] | None:
    """The paths that a pull request changes; None when GitHub tells only some of them: then all count as changed."""
    if files is None or files["pageInfo"]["hasNextPage"]:
        return None
    return frozenset(str(n["path"]) for n in files["nodes"])


def _label_event(node: Payload) -> LabelEvent:
    added = node["__typename"] == "LabeledEvent"
    return LabelEvent(str(node["label"]["name"]), added, actor(node["actor"]), time(node["createdAt"]))


def _activities(page: Payload, me: str, now: datetime) -> tuple[Activity, ...]:
    """What happened last. Where only bots are on the page, a person may have done something just before it."""
    found = tuple(_activity(n, now) for n in page["nodes"])
    people = any(a.actor.kind is Kind.PERSON and a.actor.login != me for a in found)
    if people or not page["pageInfo"]["hasPreviousPage"]:
        return found
    page_begins = min((a.at for a in found if a.kind != "pushed"), default=now)  # a commit's own date says little
    return (*found, Activity("earlier", Actor("", Kind.PERSON), page_begins))


def _activity(node: Payload, now: datetime) -> Activity:
    kind = str(node["__typename"])
    if kind == "PullRequestCommit":
        user = (node["commit"]["author"] or {}).get("user")
        return Activity("pushed", actor(user), min(time(node["commit"]["committedDate"]), now))
    name, key = _ACTIVITIES[kind]
    return Activity(name, actor(node[key]), time(node["createdAt"]))


def mine(nodes: Iterable[Payload], me: str) -> tuple[Comment, ...]:
    """Every comment that we wrote, whatever people made of it: one whose id is known is ours by that."""
    return tuple(_comment(n, me) for n in nodes if actor(n["author"]).login == me)


def _comment(node: Payload, me: str) -> Comment:
    return Comment(int(node["databaseId"]), str(node["body"]), _unedited(node, me))


def comment(nodes: Iterable[Payload], me: str, prefix: str) -> Comment | None:
    """Our comment among these when its id is not known: by us, and beginning with our marker. The oldest counts.

    When we are a bot, nothing else of us stands on a pull request but what another installation of this App wrote: a
    comment of ours that somebody edited the marker out of is still ours, and not to be trusted. One that begins with
    another installation's marker is theirs, whoever edited it. A person's token may have written anything: there it is
    not.
    """
    written = [n for n in nodes if actor(n["author"]).login == me]
    for node in written:
        if str(node["body"]).lstrip().startswith(prefix):
            return _comment(node, me)
    spoiled = next((n for n in written if me.endswith("[bot]") and not _unedited(n, me) and not _marked(n)), None)
    return _comment(spoiled, me) if spoiled else None


def _marked(node: Payload) -> bool:
    """Whether it begins with the marker of any installation."""
    return str(node["body"]).lstrip().startswith(MARKER)


def _unedited(node: Payload, me: str) -> bool:
    """Whether nobody but us edited it last."""
    return node["editor"] is None or actor(node["editor"]).login == me


def rest_pull_request(payload: Payload, events: Iterable[Payload], found: Comment | None) -> PullRequest:
    """A pull request read by number over REST, with all its events. It has no activities: nothing asks for them."""
    merged = bool(payload.get("merged_at"))
    state = State.MERGED if merged else State(str(payload["state"]))
    head = payload["head"]
    return PullRequest(
        identity=Identity(int(payload["base"]["repo"]["id"]), int(payload["number"])),
        title=str(payload["title"]),
        url=str(payload["html_url"]),
        author=actor(payload["user"]),
        state=state,
        draft=bool(payload["draft"]),
        head_sha=str(head["sha"]),
        head_ref=str(head["ref"]),
        head_repository_id=head["repo"]["id"] if head["repo"] else None,
        base_ref=str(payload["base"]["ref"]),
        labels=frozenset(str(n["name"]) for n in payload["labels"]),
        label_events=tuple(
            LabelEvent(str(e["label"]["name"]), e["event"] == "labeled", actor(e["actor"]), time(e["created_at"]))
            for e in events
            if e["event"] in ("labeled", "unlabeled")
        ),
        activities=(),
        created_at=time(payload["created_at"]),
        updated_at=time(payload["updated_at"]),
        closed_at=time(payload["closed_at"]) if payload["closed_at"] else None,
        merge_sha=payload.get("merge_commit_sha"),
        comment=found,
    )


def closed_by(events: Iterable[Payload]) -> Actor | None:
    """Who closed it last, or None."""
    closings = [e for e in events if e["event"] == "closed"]
    return actor(closings[-1]["actor"]) if closings else None

"""Payloads of GitHub to core values. A key that is missing is a `KeyError` for the caller to turn into doubt.

A deleted label, account or commit leaves null nodes behind permanently. A null that no decision needs is skipped; any
other one raises, which is doubt about its pull request only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from greenroom.core.model import (
    UNKNOWN_LABEL,
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


def label_since(repository: Payload) -> tuple[datetime, datetime | None]:
    """Return when the answer's pull request was updated and when the label was created, None without a label."""
    label = repository["label"]
    return time(repository["pullRequest"]["updatedAt"]), time(label["createdAt"]) if label else None


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
    comments = tuple(c for c in comments if c is not None)
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
        changed_files=int(node["changedFiles"]),
        conflicts=node["mergeable"] == "CONFLICTING",
        labels=_labels(node["labels"]["nodes"]),
        label_events=_label_events(node["labelEvents"]["nodes"], time(node["createdAt"])),
        activities=_activities(node["activity"], me, now),
        created_at=time(node["createdAt"]),
        updated_at=time(node["updatedAt"]),
        closed_at=time(node["closedAt"]) if node["closedAt"] else None,
        merge_sha=_merge_commit(node),
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
        body = str(node["body"] or "")
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
    """Return the paths that a pull request changes; None when the list does not have all of them.

    It has at most 100, and only the new path of a renamed file.
    """
    if files is None or files["pageInfo"]["hasNextPage"]:
        return None
    if None in files["nodes"] or any(n["changeType"] == "RENAMED" for n in files["nodes"]):
        return None
    return frozenset(str(n["path"]) for n in files["nodes"])


def paths(files: Iterable[Payload]) -> frozenset[str]:
    """Return the paths of changed files from REST, including the old paths of renamed files.

    https://docs.github.com/en/rest/pulls/pulls#list-pull-requests-files
    """
    pairs = [(f["filename"], f.get("previous_filename") if f["status"] == "renamed" else None) for f in files]
    return frozenset(str(path) for pair in pairs for path in pair if path)


def _merge_commit(node: Payload) -> str | None:
    """Return GitHub's merge commit of the current head; None while there is none or it belongs to an earlier head."""
    merge = node["potentialMergeCommit"]
    if not merge or not any(p and p["oid"] == node["headRefOid"] for p in merge["parents"]["nodes"] or ()):
        return None
    return str(merge["oid"])


def _labels(nodes: Iterable[Payload]) -> frozenset[str]:
    """Return the names of the labels that are on. Raises `TypeError` for one without a name: it could be any label."""
    names = [n["name"] for n in nodes]
    if not all(isinstance(name, str) for name in names):
        raise TypeError("a label without a name")
    return frozenset(names)


def _label_events(nodes: Iterable[Payload | None], begins: datetime) -> tuple[LabelEvent, ...]:
    """Return the label events of GraphQL or REST, in order of time.

    A null node could be any label's, so it keeps its place, with the time of the previous event, or `begins`.
    """
    found: list[LabelEvent] = []
    for node in nodes:
        if node is None:
            found.append(LabelEvent(UNKNOWN_LABEL, False, actor(None), found[-1].at if found else begins))
        elif node.get("__typename") in ("LabeledEvent", "UnlabeledEvent"):
            found.append(_label_event(node, node["__typename"] == "LabeledEvent", node["createdAt"]))
        elif node.get("event") in ("labeled", "unlabeled"):
            found.append(_label_event(node, node["event"] == "labeled", node["created_at"]))
    return tuple(found)


def _label_event(node: Payload, added: bool, at: str) -> LabelEvent:
    label = node.get("label")
    name = label.get("name") if label else None
    return LabelEvent(str(name) if name else UNKNOWN_LABEL, added, actor(node.get("actor")), time(at))


def _activities(page: Payload, me: str, now: datetime) -> tuple[Activity, ...]:
    """What happened last. Where only bots are on the page, a person may have done something just before it."""
    found = tuple(a for n in page["nodes"] if (a := _activity(n, now)) is not None)
    people = any(a.actor.kind is Kind.PERSON and a.actor.login != me for a in found)
    if people or not page["pageInfo"]["hasPreviousPage"]:
        return found
    page_begins = min((a.at for a in found if a.kind != "committed"), default=now)  # a commit's own date is unreliable
    return (*found, Activity("earlier", Actor("", Kind.PERSON), page_begins))


def _activity(node: Payload | None, now: datetime) -> Activity | None:
    """Return one activity; None for a null node and for a review that is still pending.

    A review counts from `submittedAt`: `createdAt` is when it was started, which may be days earlier.
    """
    kind = str(node["__typename"]) if node else ""
    if node is None or (kind == "PullRequestCommit" and node["commit"] is None):
        return None
    if kind == "PullRequestCommit":
        user = (node["commit"]["author"] or {}).get("user")
        return Activity("committed", actor(user), min(time(node["commit"]["committedDate"]), now))
    name, key = _ACTIVITIES[kind]
    at = node["submittedAt"] if kind == "PullRequestReview" else node["createdAt"]
    return Activity(name, actor(node[key]), time(at)) if at else None


def mine(nodes: Iterable[Payload], me: str) -> tuple[Comment, ...]:
    """Return every comment that we wrote, edited or not."""
    return tuple(_comment(n, me) for n in nodes if n is not None and actor(n["author"]).login == me)


def _comment(node: Payload, me: str) -> Comment:
    return Comment(int(node["databaseId"]), str(node["body"]), _unedited(node, me))


def comment(nodes: Iterable[Payload], me: str, prefix: str) -> Comment | None:
    """Return our comment when its id is unknown: the oldest one by us that begins with our marker.

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
    events = tuple(events)
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
        labels=_labels(payload["labels"]),
        label_events=_label_events(events, time(payload["created_at"])),
        activities=(),
        created_at=time(payload["created_at"]),
        updated_at=time(payload["updated_at"]),
        closed_at=time(payload["closed_at"]) if payload["closed_at"] else None,
        merge_sha=payload.get("merge_commit_sha"),
        comment=found,
    )


def closed_by(events: Iterable[Payload]) -> Actor | None:
    """Who closed it last, or None."""
    closings = [e for e in events if e is not None and e["event"] == "closed"]
    return actor(closings[-1].get("actor")) if closings else None

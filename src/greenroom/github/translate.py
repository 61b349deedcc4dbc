"""Translation of GitHub's payloads to core values.

A missing key or a value of another JSON type raises one of `shapes.BROKEN`, which the caller turns into doubt. No value
is converted from another type: `str()` would make a label's name out of a list.

A deleted label, account or commit leaves null nodes behind permanently. A null that no decision needs is skipped. Any
other null raises an exception, which causes doubt about its pull request only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from greenroom.core.model.github import (
    UNKNOWN_LABEL,
    Activity,
    Actor,
    CommandComment,
    Comment,
    Kind,
    LabelEvent,
    PullRequest,
    State,
)
from greenroom.core.model.spec import Identity
from greenroom.github.markdown import plain_lines

Payload = Mapping[str, Any]
MARKER = "<!-- greenroom:"
PREFIX = "/preview"
DESCRIPTION = 20_000  # characters of a description that are read
LINES, LENGTH = 50, 200  # of commands in one comment
PAIR = "preview-with:"
_WITH = re.compile(r"\s*Preview-with:\s*([\w.-]+/[\w.-]+#[1-9][0-9]{0,8})\s*", re.IGNORECASE)

_ACTIVITIES = {
    "HeadRefForcePushedEvent": ("pushed", "actor"),
    "IssueComment": ("commented", "author"),
    "PullRequestReview": ("reviewed", "author"),
    "ReopenedEvent": ("reopened", "actor"),
    "ReadyForReviewEvent": ("ready", "actor"),
    "ReviewRequestedEvent": ("requested", "actor"),
}


def time(value: object) -> datetime:
    """Return an aware time from GitHub's ISO 8601 text with `Z`."""
    return datetime.fromisoformat(text(value))


def text(value: object) -> str:
    """Return the value, which must be a string."""
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.50} instead of a string")
    return value


def _object(value: object) -> Payload | None:
    """Return the value, which must be an object or null. An empty list is neither."""
    if value is not None and not isinstance(value, dict):
        raise TypeError(f"{value!r:.50} instead of an object")
    return value


def label_since(repository: Payload) -> tuple[datetime, datetime | None]:
    """Return when the answer's pull request was updated and when the label was created, None without a label."""
    label = _object(repository["label"])
    return time(repository["pullRequest"]["updatedAt"]), None if label is None else time(label["createdAt"])


def actor(payload: Payload | None) -> Actor:
    """Return an actor of GraphQL or REST. GraphQL omits `[bot]` from a bot's login; we use the REST form."""
    if payload is None:
        return Actor("ghost", Kind.NOBODY)
    login = text(payload["login"])
    kinds = [text(payload[key]) for key in ("__typename", "type") if payload.get(key) is not None]
    if "Bot" in kinds or login.endswith("[bot]"):
        return Actor(f"{login.removesuffix('[bot]')}[bot]", Kind.BOT)
    return Actor(login, Kind.PERSON)


def pull_request(
    repository_id: int, node: Payload, comments: Iterable[Payload], me: str, prefix: str, now: datetime
) -> PullRequest:
    """Return a pull request of the list with all its comments. `now` bounds commit dates, which anyone can forge."""
    comments = tuple(c for c in comments if c is not None)
    return PullRequest(
        identity=Identity(repository_id, int(node["number"])),
        title=text(node["title"]),
        url=text(node["url"]),
        author=actor(node["author"]),
        state=State(text(node["state"]).lower()),
        draft=bool(node["isDraft"]),
        head_sha=text(node["headRefOid"]),
        head_ref=text(node["headRefName"]),
        head_repository_id=_id(_object(node["headRepository"]), "databaseId"),
        base_ref=text(node["baseRefName"]),
        base_sha=text(node["baseRefOid"]),
        base_tip=_tip(node),
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
        said=_command_comments(comments, me),
        mentions=_mentions(_body(node)),
    )


def _id(repository: Payload | None, key: str) -> int | None:
    """Return a repository's id; None for a deleted repository, and for an id that GraphQL cannot show."""
    found = repository[key] if repository is not None else None
    return None if found is None else int(found)


def _body(node: Payload) -> str:
    """Return the text of a pull request or a comment, empty for null."""
    return "" if node["body"] is None else text(node["body"])


def _tip(node: Payload) -> str:
    """Return the newest commit of the base branch, empty while the branch is gone.

    `baseRefOid` does not follow the branch: it stays at what GitHub saw at some earlier event.
    https://github.com/jenkins-x/lighthouse/pull/1618
    """
    target = (node["baseRef"] or {}).get("target")
    return text(target["oid"]) if target else ""


def _command_comments(nodes: Iterable[Payload], me: str) -> tuple[CommandComment, ...]:
    """Return the comments of others that hold a command, reduced to the last `LINES` lines that begin with one.

    A line is taken whole or not at all: half of `payments#178` would be another command.
    """
    found = []
    for node in nodes:
        body, by = _body(node), actor(node["author"])
        if PREFIX not in body.lower() or by.login == me or by.kind is not Kind.PERSON:
            continue
        if lines := [_whole(line) for line in plain_lines(body) if _commands(line)]:
            text = "\n".join(lines[-LINES:])
            edited = node["editor"] is not None
            found.append(CommandComment(int(node["databaseId"]), by, text, time(node["createdAt"]), edited))
    return tuple(found)


def _commands(line: str) -> bool:
    return line.lstrip().lower().startswith(PREFIX)


def _whole(line: str) -> str:
    """Return the line. Cut a long one so that it is not a command but still shows which line was meant."""
    return line if len(line) <= LENGTH else f"{line[: LENGTH - 1]}…"


def _mentions(body: str) -> tuple[str, ...]:
    """Return the pull requests that a description names with `Preview-with: owner/repo#17`, at most ten."""
    lines = plain_lines(body, DESCRIPTION) if PAIR in body.lower() else ()
    found = {match[1].lower() for line in lines if (match := _WITH.fullmatch(line))}
    return tuple(sorted(found))[:10]


def _changed(files: Payload | None) -> frozenset[str] | None:
    """Return the paths that a pull request changes; None when the list does not have all of them.

    It has at most 100, and only the new path of a renamed file.
    """
    if files is None or files["pageInfo"]["hasNextPage"]:
        return None
    if None in files["nodes"] or any(n["changeType"] == "RENAMED" for n in files["nodes"]):
        return None
    return frozenset(text(n["path"]) for n in files["nodes"])


def paths(files: Iterable[Payload]) -> frozenset[str]:
    """Return the paths of changed files from REST, including the old paths of renamed files.

    https://docs.github.com/en/rest/pulls/pulls#list-pull-requests-files
    """
    pairs = [(f["filename"], f.get("previous_filename") if f["status"] == "renamed" else None) for f in files]
    return frozenset(text(path) for pair in pairs for path in pair if path is not None)


def _merge_commit(node: Payload) -> str | None:
    """Return GitHub's merge commit of the current head; None while there is none or it belongs to an earlier head."""
    merge = node["potentialMergeCommit"]
    if not merge or not any(p and p["oid"] == node["headRefOid"] for p in merge["parents"]["nodes"] or ()):
        return None
    return text(merge["oid"])


def _labels(nodes: Iterable[Payload]) -> frozenset[str]:
    """Return the names of the labels that are on. Raise `TypeError` for one without a name: it could be any label."""
    return frozenset(text(n["name"]) for n in nodes)


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


def _label_event(node: Payload, added: bool, at: object) -> LabelEvent:
    label = _object(node.get("label"))
    name = None if label is None or label.get("name") is None else text(label["name"])
    return LabelEvent(name or UNKNOWN_LABEL, added, actor(_object(node.get("actor"))), time(at))


def _activities(page: Payload, me: str, now: datetime) -> tuple[Activity, ...]:
    """Return the latest activities. If the page shows only bots, assume that a person acted just before it."""
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
    kind = text(node["__typename"]) if node is not None else ""
    if node is None or (kind == "PullRequestCommit" and node["commit"] is None):
        return None
    if kind == "PullRequestCommit":
        user = (_object(node["commit"]["author"]) or {}).get("user")
        return Activity("committed", actor(_object(user)), min(time(node["commit"]["committedDate"]), now))
    name, key = _ACTIVITIES[kind]
    at = node["submittedAt"] if kind == "PullRequestReview" else node["createdAt"]
    return None if at is None else Activity(name, actor(_object(node[key])), time(at))


def mine(nodes: Iterable[Payload], me: str) -> tuple[Comment, ...]:
    """Return every comment that we wrote, edited or not."""
    return tuple(_comment(n, me) for n in nodes if n is not None and actor(n["author"]).login == me)


def _comment(node: Payload, me: str) -> Comment:
    return Comment(int(node["databaseId"]), text(node["body"]), _unedited(node, me))


def comment(nodes: Iterable[Payload], me: str, prefix: str) -> Comment | None:
    """Return our comment when its id is unknown: the oldest one by us that begins with our marker.

    A bot account writes only this comment and those of other installations of this App. So a bot's comment whose marker
    was edited out is still ours, but its content is not trusted. A comment that begins with another installation's
    marker belongs to that installation, regardless of who edited it. A person's account may have written anything, so
    there an edited comment without our marker is not ours.
    """
    written = [n for n in nodes if actor(n["author"]).login == me]
    for node in written:
        if text(node["body"]).lstrip().startswith(prefix):
            return _comment(node, me)
    spoiled = next((n for n in written if me.endswith("[bot]") and not _unedited(n, me) and not _marked(n)), None)
    return _comment(spoiled, me) if spoiled else None


def _marked(node: Payload) -> bool:
    """Return whether a comment begins with the marker of any installation."""
    return text(node["body"]).lstrip().startswith(MARKER)


def _unedited(node: Payload, me: str) -> bool:
    """Return whether the last edit of a comment, if any, was ours."""
    return node["editor"] is None or actor(node["editor"]).login == me


def rest_pull_request(payload: Payload, events: Iterable[Payload], found: Comment | None) -> PullRequest:
    """Return a pull request read by number over REST, with all its events. Leave out activities, which nothing uses."""
    events = tuple(events)
    merged, merge = payload.get("merged_at"), payload.get("merge_commit_sha")
    if merged is not None:
        time(merged)  # anything else would count as merged
    state = State(text(payload["state"])) if merged is None else State.MERGED
    head = payload["head"]
    return PullRequest(
        identity=Identity(int(payload["base"]["repo"]["id"]), int(payload["number"])),
        title=text(payload["title"]),
        url=text(payload["html_url"]),
        author=actor(payload["user"]),
        state=state,
        draft=bool(payload["draft"]),
        head_sha=text(head["sha"]),
        head_ref=text(head["ref"]),
        head_repository_id=_id(_object(head["repo"]), "id"),
        base_ref=text(payload["base"]["ref"]),
        labels=_labels(payload["labels"]),
        label_events=_label_events(events, time(payload["created_at"])),
        activities=(),
        created_at=time(payload["created_at"]),
        updated_at=time(payload["updated_at"]),
        closed_at=time(payload["closed_at"]) if payload["closed_at"] else None,
        merge_sha=None if merge is None else text(merge),
        comment=found,
    )


def closed_by(events: Iterable[Payload]) -> Actor | None:
    """Return the actor who closed the pull request last, or None."""
    closings = [e for e in events if e is not None and e["event"] == "closed"]
    return actor(_object(closings[-1].get("actor"))) if closings else None

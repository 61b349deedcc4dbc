"""GitHub's GraphQL API for the simulated world, executed by graphql-core on an excerpt of GitHub's own schema."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from functools import cache, lru_cache
from importlib import resources
from typing import Any

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    build_schema,
    default_type_resolver,
    execute_sync,
    parse,
    validate,
)

from greenroom.simulator import payloads
from greenroom.simulator.cost import Cost, cost
from greenroom.simulator.world import Comment, Item, PullRequest, Repository, User, World

Json = dict[str, Any]
DELETED = {"name": "\0deleted"}
KINDS = {
    "LABELED_EVENT": "LabeledEvent",
    "UNLABELED_EVENT": "UnlabeledEvent",
    "PULL_REQUEST_COMMIT": "PullRequestCommit",
    "HEAD_REF_FORCE_PUSHED_EVENT": "HeadRefForcePushedEvent",
    "ISSUE_COMMENT": "IssueComment",
    "PULL_REQUEST_REVIEW": "PullRequestReview",
    "REOPENED_EVENT": "ReopenedEvent",
    "READY_FOR_REVIEW_EVENT": "ReadyForReviewEvent",
    "REVIEW_REQUESTED_EVENT": "ReviewRequestedEvent",
}


@cache
def schema() -> GraphQLSchema:
    """Return the schema, which is built once."""
    return build_schema(resources.files(__package__).joinpath("github.graphql").read_text(), assume_valid=True)


def answer(world: World, viewer: User, query: str, variables: Json) -> Json:
    """Return the JSON answer to a query: `data`, and `errors` with their paths and types when something is wrong."""
    document = _document(query)
    if not isinstance(document, DocumentNode):
        return {"errors": [{"message": message, "type": "INVALID"} for message in document]}
    price = cost(document, variables)
    if not world.points.spend(viewer.login, price.points, world.now()):
        message = f"API rate limit exceeded for user ID {viewer.id}."
        return {"errors": [{"type": world.points.word, "code": "graphql_rate_limit", "message": message}]}
    root = Root(world, viewer, price)
    result = execute_sync(
        schema(), document, root_value=root, variable_values=variables, type_resolver=_type, middleware=None
    )
    found: Json = {"data": result.data}
    if result.errors:
        found["errors"] = [_error(e) for e in result.errors]
    found["data"] = _without_deleted_labels(found["data"])
    if world.faults.fires("graphql-errors", "/graphql"):
        _damage(found)
    return found


def heavy(world: World, fault: str, query: str, variables: Json) -> bool:
    """Return whether a query asks for so much of one repository that this fault applies."""
    document = _document(query)
    return isinstance(document, DocumentNode) and any(
        world.faults.fires(fault, f"{p.arguments['owner']}/{p.arguments['name']}", p.nodes)
        for p in cost(document, variables).parts
        if "owner" in p.arguments
    )


@lru_cache(maxsize=64)
def _document(query: str) -> DocumentNode | tuple[str, ...]:
    """Return a query that fits the schema, or its errors. The cache helps, because the same few queries recur."""
    try:
        document = parse(query)
    except GraphQLError as error:
        return (error.message,)
    return tuple(e.message for e in validate(schema(), document)) or document


def _error(error: GraphQLError) -> Json:
    kind = (error.extensions or {}).get("type", "INTERNAL")
    return {"message": error.message, "type": kind, "path": list(error.path or [])}


def _without_deleted_labels(value: Any) -> Any:
    """Return the answer with `label: null` for deleted labels, as GitHub answers, in violation of its own schema.

    https://github.com/entrius/gittensor/pull/553
    """
    if isinstance(value, dict):
        return {k: None if v == DELETED else _without_deleted_labels(v) for k, v in value.items()}
    return [_without_deleted_labels(v) for v in value] if isinstance(value, list) else value


def _damage(found: Json) -> None:
    """Make an answer partial: the first repository gets null nodes and an error, as when GitHub times out halfway."""
    for alias, value in (found.get("data") or {}).items():
        if isinstance(value, dict) and "pullRequests" in value:
            value["pullRequests"]["nodes"] = [None for _ in value["pullRequests"]["nodes"]]
            message = "Something went wrong while executing your query."
            found.setdefault("errors", []).append({"message": message, "path": [alias, "pullRequests", "nodes"]})
            return


def _type(value: Any, info: Any, abstract: Any) -> Any:
    return value["__typename"] if isinstance(value, dict) else default_type_resolver(value, info, abstract)


class Root:
    """The root of a query: viewer, rateLimit, repository."""

    def __init__(self, world: World, viewer: User, price: Cost) -> None:
        self._world = world
        self._viewer = viewer
        self._price = price
        self.nodes = {p.alias: p.nodes for p in price.parts}

    def viewer(self, info: Any) -> Json:
        """Return the user who sent the query. An App's login keeps its `[bot]` here."""
        return {"login": self._viewer.login, "databaseId": self._viewer.id}

    def rateLimit(self, info: Any, **_: Any) -> Json | None:  # noqa: N802 -- GitHub's name
        """Return the cost of this query and the remaining budget; null without a limit."""
        points = self._world.points
        if points.limit is None:
            return None
        used = points.used(self._viewer.login)
        left = {"limit": points.limit, "remaining": points.limit - used, "used": used}
        return {"cost": self._price.points, "resetAt": payloads.when(points.reset), **left}

    def repository(self, info: Any, owner: str, name: str, **_: Any) -> Json | None:
        """Return a repository by its name or its old name; null and an error if there is none, or if it is hidden."""
        slug = f"{owner}/{name}"
        renamed = self._world.renamed.get(slug.lower())
        repo = self._world.repositories.get(slug.lower()) or (self._world.by_id(renamed) if renamed else None)
        if repo is None or repo.hidden:
            message = f"Could not resolve to a Repository with the name '{slug}'."
            raise GraphQLError(message, extensions={"type": "NOT_FOUND"})
        return Shown(self._world, self._viewer, repo).repository()


class Shown:
    """One repository as GraphQL shows it to a user. Connections are functions of their arguments."""

    def __init__(self, world: World, viewer: User, repo: Repository) -> None:
        self._world = world
        self._viewer = viewer
        self._repo = repo

    def repository(self) -> Json:
        """Return the repository."""
        repo = self._repo
        return {
            "databaseId": repo.id,
            "nameWithOwner": repo.slug,
            "isPrivate": repo.private,
            "pullRequests": self._pull_requests,
            "pullRequest": lambda info, number: self._one(number),
            "label": lambda info, name: self._label(name),
        }

    def _label(self, name: str) -> Json | None:
        """Return a label of the repository by its name, or null."""
        name = next((known for known in self._repo.labels if known.casefold() == name.casefold()), name)
        made = self._repo.labels_made.get(self._repo.labels.get(name, 0))
        return {"name": name, "createdAt": payloads.when(made)} if made else None

    def _pull_requests(self, info: Any, states: Sequence[str] | None = None, **page: Any) -> Json:
        if self._world.faults.fires("resource-limits", self._repo.slug, info.root_value.nodes[info.path.as_list()[0]]):
            message = "Resource limits for this query exceeded."
            raise GraphQLError(message, extensions={"type": "RESOURCE_LIMITS_EXCEEDED"})
        shown = [p for p in self._repo.pull_requests.values() if not p.hidden]
        found = [p for p in shown if not states or _state(p) in states]
        if self._world.faults.fires("empty-list", "/graphql"):
            found = []
        connection = connected([self.pull_request(p) for p in found], page)
        if connection["nodes"] and self._world.faults.fires("truncated", "/graphql"):
            connection["nodes"] = connection["nodes"][:-1]
        return connection

    def _one(self, number: int) -> Json:
        pull = self._repo.pull_requests.get(number)
        if pull is None or pull.hidden:
            message = f"Could not resolve to a PullRequest with the number of {number}."
            raise GraphQLError(message, extensions={"type": "NOT_FOUND"})
        return self.pull_request(pull)

    def pull_request(self, pull: PullRequest) -> Json:
        """Return one pull request."""
        head = pull.head_repository
        parents = [{"oid": pull.onto.split(" ")[0] or self._repo.main_sha}, {"oid": pull.head_sha}]
        merge = {
            "oid": pull.merge_sha,
            "committedDate": payloads.when(pull.updated_at),
            "author": None,
            "parents": lambda info, **page: connected(parents, page),
        }
        return {
            "number": pull.number,
            "title": pull.title,
            "body": pull.body,
            "url": f"{payloads.WEB}/{self._repo.slug}/pull/{pull.number}",
            "isDraft": pull.draft,
            "state": _state(pull),
            "createdAt": payloads.when(pull.created_at),
            "updatedAt": payloads.when(pull.updated_at),
            "closedAt": payloads.when(pull.closed_at),
            "mergedAt": payloads.when(pull.merged_at),
            "baseRefName": pull.base_ref,
            "baseRefOid": pull.base_seen,
            "baseRef": {"target": {"__typename": "Commit", "oid": self._repo.main_sha}},
            "changedFiles": len(pull.changed),
            "files": lambda info, **page: connected([_file(pull, p) for p in pull.changed], page),
            "mergeable": pull.mergeable,
            "headRefName": pull.head_ref,
            "headRefOid": pull.head_sha,
            "headRepository": Shown(self._world, self._viewer, head).repository() if head else None,
            "isCrossRepository": head is not self._repo,
            "author": actor(pull.author),
            "potentialMergeCommit": merge if (pull.state, pull.mergeable) == ("open", "MERGEABLE") else None,
            "labels": lambda info, **page: connected([{"name": n} for n in pull.labels], page),
            "timelineItems": lambda info, **page: self._timeline(pull, page),
            "comments": lambda info, **page: connected([self._comment(c) for c in pull.comments], page),
        }

    def _timeline(self, pull: PullRequest, page: Json) -> Json:
        kinds = {KINDS.get(k) for k in page.pop("itemTypes", None) or KINDS}
        shown = [i for i in pull.timeline if i.type in kinds and self._may_see(i)]
        return connected([self._item(i) for i in shown], page)

    def _may_see(self, item: Item) -> bool:
        """Return whether the viewer may see an item: only its author sees a pending review."""
        pending = item.type == "PullRequestReview" and item.data["submitted"] is None
        return not pending or item.actor is self._viewer

    def _item(self, item: Item) -> Json:
        base: Json = {"__typename": item.type, "createdAt": payloads.when(item.at), "actor": actor(item.actor)}
        match item.type:
            case "LabeledEvent" | "UnlabeledEvent":
                known = item.data["label_id"] in self._repo.labels.values()
                return {**base, "label": {"name": item.data["label"]} if known else DELETED}
            case "PullRequestCommit":
                person = {"login": item.actor.login} if item.actor.type == "User" else None
                commit = {
                    "oid": item.data["sha"],
                    "committedDate": payloads.when(item.data["committed"]),
                    "author": {"name": item.actor.login, "user": person},
                }
                return {"__typename": item.type, "commit": commit}
            case "IssueComment":
                return {"__typename": item.type, **self._comment(item.data["comment"])}
            case "PullRequestReview":
                return {**base, "author": actor(item.actor), "submittedAt": payloads.when(item.data["submitted"])}
            case _:
                return base

    def _comment(self, comment: Comment) -> Json:
        return {
            "databaseId": comment.id,
            "fullDatabaseId": str(comment.id),
            "body": comment.body,
            "author": actor(comment.author),
            "editor": actor(comment.editor) if comment.editor else None,
            "createdAt": payloads.when(comment.created_at),
            "updatedAt": payloads.when(comment.updated_at),
            "lastEditedAt": payloads.when(comment.updated_at) if comment.editor else None,
            "viewerDidAuthor": comment.author is self._viewer,
        }


def actor(who: User) -> Json:
    """Return an actor. GraphQL omits `[bot]` from a bot's login."""
    return {"__typename": who.type, "login": who.login.removesuffix("[bot]"), "databaseId": who.id}


def _file(pull: PullRequest, path: str) -> Json:
    """Return a changed file; a renamed one has its new path only."""
    return {"path": path, "changeType": "RENAMED" if path in pull.renamed else "MODIFIED"}


def _state(pull: PullRequest) -> str:
    return "MERGED" if pull.merged_at else pull.state.upper()


def connected(items: Sequence[Json], page: Json) -> Json:
    """Return a page of a connection. GitHub requires `first` or `last`, at most 100.

    https://docs.github.com/en/graphql/guides/using-pagination-in-the-graphql-api
    """
    first, last = page.get("first"), page.get("last")
    count = first if first is not None else last
    if count is None or not 0 <= count <= 100:
        message = "You must provide a `first` or `last` value between 1 and 100 to properly paginate the connection."
        raise GraphQLError(message, extensions={"type": "MISSING_PAGINATION_BOUNDARIES"})
    low = _offset(page.get("after"), -1) + 1
    high = _offset(page.get("before"), len(items))
    start, end = (low, min(high, low + count)) if first is not None else (max(low, high - count), high)
    info = {
        "hasNextPage": end < len(items),
        "hasPreviousPage": start > 0,
        "startCursor": _cursor(start) if end > start else None,
        "endCursor": _cursor(end - 1) if end > start else None,
    }
    return {"totalCount": len(items), "pageInfo": info, "nodes": list(items[start:end])}


def _cursor(index: int) -> str:
    return base64.b64encode(f"cursor:{index}".encode()).decode()


def _offset(cursor: str | None, default: int) -> int:
    return int(base64.b64decode(cursor).decode().partition(":")[2]) if cursor else default

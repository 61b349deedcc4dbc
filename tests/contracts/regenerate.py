"""Make the vendored contracts anew from GitHub's own descriptions, as npm packages publish them.

    python tests/contracts/regenerate.py          (needs npm; writes the files beside this one and the simulator's schema)
    python tests/contracts/regenerate.py --check  (exits 1 when the vendored files are not what it would write)

What is kept: the REST operations and GraphQL types that Greenroom, its simulator and PyGithub's scripted life speak.
All three packages are by Octokit under the MIT licence; NOTICE.md beside this file keeps their notice.
"""

from __future__ import annotations

import dataclasses
import gzip
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from graphql import parse, print_ast
from graphql.language import ast

HERE = Path(__file__).parent
SCHEMA = HERE.parents[1] / "src/greenroom/simulator/github.graphql"
OPENAPI, GRAPHQL, EXAMPLES = (
    "@octokit/openapi@23.0.2",
    "@octokit/graphql-schema@15.26.1",
    "@octokit/webhooks-examples@7.6.1",
)

OPERATIONS: dict[str, tuple[str, ...]] = {
    "/user": ("get",),
    "/rate_limit": ("get",),
    "/repos/{owner}/{repo}": ("get",),
    "/repos/{owner}/{repo}/pulls": ("get", "post"),
    "/repos/{owner}/{repo}/pulls/{pull_number}": ("get", "patch"),
    "/repos/{owner}/{repo}/pulls/{pull_number}/files": ("get",),
    "/repos/{owner}/{repo}/pulls/{pull_number}/merge": ("put",),
    "/repos/{owner}/{repo}/pulls/{pull_number}/reviews": ("post",),
    "/repos/{owner}/{repo}/issues/{issue_number}": ("get",),
    "/repos/{owner}/{repo}/issues/{issue_number}/events": ("get",),
    "/repos/{owner}/{repo}/issues/{issue_number}/timeline": ("get",),
    "/repos/{owner}/{repo}/issues/{issue_number}/comments": ("get", "post"),
    "/repos/{owner}/{repo}/issues/comments/{comment_id}": ("get", "patch", "delete"),
    "/repos/{owner}/{repo}/issues/{issue_number}/labels": ("get", "post"),
    "/repos/{owner}/{repo}/issues/{issue_number}/labels/{name}": ("delete",),
    "/repos/{owner}/{repo}/collaborators/{username}/permission": ("get",),
    "/repos/{owner}/{repo}/deployments": ("get", "post"),
    "/repos/{owner}/{repo}/deployments/{deployment_id}/statuses": ("get", "post"),
    "/repos/{owner}/{repo}/environments": ("get",),
    "/repos/{owner}/{repo}/git/ref/{ref}": ("get",),
    "/repos/{owner}/{repo}/git/commits/{commit_sha}": ("get",),
    "/repos/{owner}/{repo}/git/trees/{tree_sha}": ("get",),
    "/repos/{owner}/{repo}/git/blobs/{file_sha}": ("get",),
    "/repos/{owner}/{repo}/actions/runs": ("get",),
    "/repos/{owner}/{repo}/actions/workflows/{workflow_id}/runs": ("get",),
    "/repos/{owner}/{repo}/commits/{ref}/check-runs": ("get",),
}

WEBHOOKS = (
    "deployment-status-created", "issue-comment-created", "issue-comment-edited", "pull-request-closed",
    "pull-request-labeled", "pull-request-opened", "pull-request-ready-for-review", "pull-request-reopened",
    "pull-request-review-submitted", "pull-request-synchronize", "pull-request-unlabeled", "repository-renamed",
    "workflow-run-completed", "workflow-run-in-progress", "workflow-run-requested",
)

TYPES: dict[str, tuple[str, ...]] = {
    "Query": ("viewer", "rateLimit", "repository"),
    "RateLimit": ("cost", "limit", "remaining", "resetAt", "used"),
    "User": ("login", "databaseId"),
    "Bot": ("login", "databaseId"),
    "Organization": ("login",),
    "Mannequin": ("login",),
    "EnterpriseUserAccount": ("login",),
    "Actor": ("login",),
    "Repository": ("databaseId", "nameWithOwner", "isPrivate", "label", "pullRequests", "pullRequest"),
    "PullRequestConnection": ("totalCount", "pageInfo", "nodes"),
    "PullRequestChangedFileConnection": ("pageInfo", "nodes"),
    "PullRequestChangedFile": ("path", "changeType"),
    "PageInfo": ("hasNextPage", "hasPreviousPage", "startCursor", "endCursor"),
    "PullRequest": (
        "number", "title", "url", "body", "isDraft", "state", "createdAt", "updatedAt", "closedAt", "mergedAt",
        "baseRef", "baseRefName", "baseRefOid", "files", "headRefName", "headRefOid", "headRepository",
        "isCrossRepository", "author",
        "potentialMergeCommit", "labels", "timelineItems", "comments", "mergeable", "changedFiles",
    ),
    "LabelConnection": ("totalCount", "pageInfo", "nodes"),
    "Label": ("name", "createdAt"),
    "Ref": ("target",),
    "GitObject": ("oid",),
    "Commit": ("oid", "committedDate", "author", "parents"),
    "CommitConnection": ("totalCount", "pageInfo", "nodes"),
    "GitActor": ("user", "name"),
    "PullRequestTimelineItemsConnection": ("totalCount", "pageInfo", "nodes"),
    "LabeledEvent": ("createdAt", "actor", "label"),
    "UnlabeledEvent": ("createdAt", "actor", "label"),
    "PullRequestCommit": ("commit",),
    "HeadRefForcePushedEvent": ("createdAt", "actor"),
    "IssueComment": (
        "databaseId", "fullDatabaseId", "body", "author", "editor", "createdAt", "updatedAt", "lastEditedAt",
        "viewerDidAuthor",
    ),
    "PullRequestReview": ("createdAt", "submittedAt", "author"),
    "ReopenedEvent": ("createdAt", "actor"),
    "ReadyForReviewEvent": ("createdAt", "actor"),
    "ReviewRequestedEvent": ("createdAt", "actor"),
    "IssueCommentConnection": ("totalCount", "pageInfo", "nodes"),
}
UNIONS = {"PullRequestTimelineItems"}
INTERFACES = {"Actor", "GitObject"}
WHOLE = {
    "PullRequestTimelineItemsItemType", "PullRequestState", "IssueOrderField", "OrderDirection", "IssueOrder",
    "MergeableState", "PatchStatus",
}
SCALARS = {"BigInt", "DateTime", "URI", "GitObjectID", "ID", "Int", "String", "Boolean", "Float"}


def package(name: str, folder: Path) -> tarfile.TarFile:
    """The published archive of an npm package."""
    done = subprocess.run(["npm", "pack", "--silent", name], cwd=folder, check=True, capture_output=True, text=True)
    return tarfile.open(folder / done.stdout.strip().splitlines()[-1])


def member(archive: tarfile.TarFile, *endings: str) -> bytes:
    """The first file of an archive with one of these endings."""
    found = next(m for ending in endings for m in archive.getmembers() if m.name.endswith(ending))
    handle = archive.extractfile(found)
    assert handle is not None
    return handle.read()


def openapi(whole: dict[str, Any]) -> str:
    """GitHub's REST description, cut to our operations; bodies refuse unknown keys, answers come as both media types."""
    paths = {p: {m: whole["paths"][p][m] for m in methods} for p, methods in OPERATIONS.items()}
    for operations in paths.values():
        for operation in operations.values():
            _trim_operation(operation)
    # GitHub's prose allows a bare list here ("You can also pass an `array` of labels directly"), its schema forgot it.
    labels = paths["/repos/{owner}/{repo}/issues/{issue_number}/labels"]["post"]["requestBody"]
    choices = labels["content"]["application/json"]["schema"]["oneOf"]
    choices.append({"type": "array", "minItems": 1, "items": {"type": "string"}})
    kept: dict[str, Any] = {"openapi": whole["openapi"], "info": whole["info"], "paths": paths}
    kept["info"]["x-source"] = f"npm {OPENAPI}, MIT, trimmed by tests/contracts/regenerate.py"
    kept["servers"] = [{"url": "/api/v3"}]
    kept["components"] = _components(_references(paths), whole)
    # A check in progress has no conclusion: the schema says `nullable`, but its list of values forgot null.
    kept["components"]["schemas"]["check-run"]["properties"]["conclusion"]["enum"].append(None)
    return json.dumps(kept, indent=0, sort_keys=True, ensure_ascii=False) + "\n"


def webhooks(whole: dict[str, Any]) -> bytes:
    """GitHub's description of the webhooks that the simulator sends: `x-webhooks` of the same package, prose cut off."""
    events = {}
    for name in WEBHOOKS:
        body = whole["x-webhooks"][name]["post"]["requestBody"]["content"]["application/json"]["schema"]
        events[name] = body
    components = _prose_cut(_components(_references(events), whole))
    # A run in progress has no conclusion: the schema says `nullable`, but its list of values forgot null.
    running = components["schemas"]["webhook-workflow-run-in-progress"]["properties"]["workflow_run"]["properties"]
    running["conclusion"]["enum"].append(None)
    kept = {"webhooks": events, "components": components}
    text = json.dumps(kept, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return gzip.compress(f"{text}\n".encode(), mtime=0)


def _components(todo: set[str], whole: dict[str, Any]) -> dict[str, Any]:
    """Everything that these references name, and what that names."""
    kept: dict[str, Any] = {}
    while todo:
        _, _, kind, name = todo.pop().split("/")
        place = kept.setdefault(kind, {})
        if name not in place:
            place[name] = _bare(whole["components"][kind][name])
            todo |= _references(place[name])
    return kept


def _prose_cut(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _prose_cut(v) for k, v in value.items() if not (k in ("description", "title") and isinstance(v, str))}
    return [_prose_cut(v) for v in value] if isinstance(value, list) else value


def _trim_operation(operation: dict[str, Any]) -> None:
    for key in ("description", "externalDocs", "x-github", "summary", "tags"):
        operation.pop(key, None)
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    if "properties" in body.get("schema", {}):
        body["schema"].setdefault("additionalProperties", False)
    body.pop("examples", None)
    body.pop("example", None)
    for response in operation["responses"].values():
        content = response.get("content", {})
        for media in content.values():
            media.pop("examples", None)
            media.pop("example", None)
        if "application/json" in content:
            content["application/vnd.github+json"] = content["application/json"]


def _bare(value: Any) -> Any:
    if isinstance(value, dict):
        dropped = ("example", "examples", "x-github-breaking-changes")
        return {k: _bare(v) for k, v in value.items() if k not in dropped or isinstance(v, dict) and "type" in v}
    return [_bare(v) for v in value] if isinstance(value, list) else value


def _references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*(_references(v) for v in value.values()))
    return set().union(*(_references(v) for v in value)) if isinstance(value, list) else set()


def graphql(folder: Path) -> str:
    """GitHub's GraphQL schema, cut to our types and fields; what is kept is kept as it is."""
    document = parse(member(package(GRAPHQL, folder), "schema.graphql").decode())
    kept = [d for d in map(_definition, document.definitions) if d is not None]
    kept.sort(key=lambda d: d.name.value)
    text = print_ast(ast.DocumentNode(definitions=tuple(kept)))
    return f"# From npm {GRAPHQL} (MIT, by Octokit), cut by tests/contracts/regenerate.py. Do not edit.\n\n{text}\n"


def _definition(node: ast.DefinitionNode) -> Any:
    name = getattr(getattr(node, "name", None), "value", "")
    if isinstance(node, ast.ObjectTypeDefinitionNode | ast.InterfaceTypeDefinitionNode) and name in TYPES:
        return _bare_node(
            node,
            interfaces=tuple(i for i in node.interfaces or () if i.name.value in INTERFACES),
            fields=tuple(_field(f) for f in node.fields or () if f.name.value in TYPES[name]),
        )
    if isinstance(node, ast.UnionTypeDefinitionNode) and name in UNIONS:
        return _bare_node(node, types=tuple(t for t in node.types or () if t.name.value in TYPES))
    if isinstance(node, ast.EnumTypeDefinitionNode) and name in WHOLE:
        return _bare_node(node, values=tuple(_bare_node(v) for v in node.values or ()))
    if isinstance(node, ast.InputObjectTypeDefinitionNode) and name in WHOLE:
        return _bare_node(node, fields=tuple(_bare_node(f) for f in node.fields or ()))
    return _bare_node(node) if name in {"BigInt", "DateTime", "URI", "GitObjectID"} else None


def _field(node: ast.FieldDefinitionNode) -> Any:
    known = set(TYPES) | UNIONS | WHOLE | SCALARS
    arguments = tuple(_bare_node(a) for a in node.arguments or () if _named(a.type) in known)
    return _bare_node(node, arguments=arguments)


def _bare_node(node: Any, **changes: Any) -> Any:
    """A node without descriptions and directives."""
    return dataclasses.replace(node, description=None, directives=(), **changes)


def _named(node: Any) -> str:
    while not hasattr(node, "name"):
        node = node.type
    return str(node.name.value)


def examples(folder: Path) -> bytes:
    """All sample webhooks, one JSON line each: event, payload."""
    events = json.loads(member(package(EXAMPLES, folder), "api.github.com/index.json"))
    lines = [
        json.dumps([e["name"], payload], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        for e in events
        for payload in e["examples"]
    ]
    return gzip.compress(("\n".join(lines) + "\n").encode(), mtime=0)


def main() -> int:
    """Write, or compare."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        whole = json.loads(member(package(OPENAPI, folder), "generated/api.github.com.json"))
        made = {
            HERE / "github-openapi.json": openapi(whole).encode(),
            HERE / "webhook-schemas.json.gz": webhooks(whole),
            SCHEMA: graphql(folder).encode(),
            HERE / "webhooks.jsonl.gz": examples(folder),
        }
    drifted = [str(p) for p, content in made.items() if not p.exists() or p.read_bytes() != content]
    if "--check" in sys.argv:
        print("\n".join(f"{p} is not what its source gives" for p in drifted) or "the contracts are as published")
        return int(bool(drifted))
    for path, content in made.items():
        path.write_bytes(content)
        print(f"{path.name}: {len(content):,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())

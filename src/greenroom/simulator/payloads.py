"""The simulated world as JSON, in the shapes of GitHub's REST description, with every required key."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from greenroom.simulator.world import Comment, Deployment, Item, PullRequest, Repository, User

WEB = "https://github.example.com"
API = f"{WEB}/api/v3"
Json = dict[str, Any]

EVENTS = {
    "LabeledEvent": "labeled",
    "UnlabeledEvent": "unlabeled",
    "ClosedEvent": "closed",
    "ReopenedEvent": "reopened",
    "ReadyForReviewEvent": "ready_for_review",
    "HeadRefForcePushedEvent": "head_ref_force_pushed",
}


def when(at: datetime | None) -> str | None:
    """Return a time in GitHub's format."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ") if at else None


def node(kind: str, number: int) -> str:
    """Return an opaque global id."""
    return base64.b64encode(f"{kind}:{number}".encode()).decode()


def user(who: User) -> Json:
    """Return a simple user."""
    url = f"{API}/users/{who.login}"
    links = ("followers", "following", "gists", "starred", "subscriptions", "organizations", "repos", "events")
    return {
        "login": who.login,
        "id": who.id,
        "node_id": node("User", who.id),
        "avatar_url": f"{WEB}/avatars/{who.id}",
        "gravatar_id": "",
        "url": url,
        "html_url": f"{WEB}/{who.login}",
        **{f"{link}_url": f"{url}/{link}" for link in links},
        "received_events_url": f"{url}/received_events",
        "type": who.type,
        "site_admin": False,
    }


_REPOSITORY_LINKS = [
    "archive",
    "assignees",
    "blobs",
    "branches",
    "collaborators",
    "comments",
    "commits",
    "compare",
    "contents",
    "contributors",
    "deployments",
    "downloads",
    "events",
    "forks",
    "git_commits",
    "git_refs",
    "git_tags",
    "hooks",
    "issue_comment",
    "issue_events",
    "issues",
    "keys",
    "labels",
    "languages",
    "merges",
    "milestones",
    "notifications",
    "pulls",
    "releases",
    "stargazers",
    "statuses",
    "subscribers",
    "subscription",
    "tags",
    "teams",
    "trees",
]


def repository(repo: Repository) -> Json:
    """Return a full repository."""
    owner, _, name = repo.slug.partition("/")
    url = f"{API}/repos/{repo.slug}"
    counts = (
        "forks forks_count open_issues open_issues_count size stargazers_count watchers watchers_count network_count"
    )
    flags = "has_issues has_projects has_wiki has_pages has_discussions has_downloads"
    return {
        "id": repo.id,
        "node_id": node("Repository", repo.id),
        "name": name,
        "full_name": repo.slug,
        "owner": user(User(repo.id, owner, "Organization")),
        "private": repo.private,
        "html_url": f"{WEB}/{repo.slug}",
        "description": None,
        "fork": False,
        "url": url,
        **{f"{link}_url": f"{url}/{link}" for link in _REPOSITORY_LINKS},
        "clone_url": f"{WEB}/{repo.slug}.git",
        "git_url": f"git://github.example.com/{repo.slug}.git",
        "ssh_url": f"git@github.example.com:{repo.slug}.git",
        "svn_url": f"{WEB}/{repo.slug}",
        "mirror_url": None,
        "homepage": None,
        "language": None,
        "license": None,
        "default_branch": "main",
        "archived": repo.archived,
        "disabled": False,
        "pushed_at": when(repo.created_at),
        "created_at": when(repo.created_at),
        "updated_at": when(repo.created_at),
        "subscribers_count": 0,
        **dict.fromkeys(counts.split(), 0),
        **dict.fromkeys(flags.split(), False),
    }


def label(repo: Repository, name: str) -> Json:
    """Return a label of a repository."""
    number = repo.labels.get(name, 0)
    url = f"{API}/repos/{repo.slug}/labels/{name}"
    base = {"id": number, "node_id": node("Label", number), "url": url, "name": name}
    return {**base, "color": "0e8a16", "default": False, "description": ""}


def pull_request(repo: Repository, pull: PullRequest, *, whole: bool = False) -> Json:
    """Return a pull request as in lists, or, if `whole`, as by number."""
    url = f"{API}/repos/{repo.slug}/pulls/{pull.number}"
    issue = f"{API}/repos/{repo.slug}/issues/{pull.number}"
    html = f"{WEB}/{repo.slug}/pull/{pull.number}"
    links = {
        "self": url,
        "html": html,
        "issue": issue,
        "comments": f"{issue}/comments",
        "review_comments": f"{url}/comments",
        "review_comment": f"{url}/comments{{/number}}",
        "commits": f"{url}/commits",
        "statuses": f"{API}/repos/{repo.slug}/statuses/{pull.head_sha}",
    }
    answer: Json = {
        "url": url,
        "id": pull.id,
        "node_id": node("PullRequest", pull.id),
        "html_url": html,
        "diff_url": f"{html}.diff",
        "patch_url": f"{html}.patch",
        "issue_url": issue,
        "commits_url": links["commits"],
        "review_comments_url": links["review_comments"],
        "review_comment_url": links["review_comment"],
        "comments_url": links["comments"],
        "statuses_url": links["statuses"],
        "number": pull.number,
        "state": pull.state,
        "locked": pull.locked,
        "active_lock_reason": pull.lock_reason,
        "title": pull.title,
        "user": user(pull.author),
        "body": pull.body or None,
        "labels": [label(repo, name) for name in pull.labels],
        "milestone": None,
        "created_at": when(pull.created_at),
        "updated_at": when(pull.updated_at),
        "closed_at": when(pull.closed_at),
        "merged_at": when(pull.merged_at),
        "merge_commit_sha": pull.merge_sha,
        "assignee": None,
        "draft": pull.draft,
        "head": _end(pull.head_repository, pull.head_ref, pull.head_sha, pull.author),
        "base": _end(repo, pull.base_ref, pull.base_seen, pull.author),
        "_links": {name: {"href": href} for name, href in links.items()},
        "author_association": "CONTRIBUTOR",
        "auto_merge": None,
    }
    if whole:
        answer |= {
            "merged": pull.merged_at is not None,
            "mergeable": {"MERGEABLE": True, "CONFLICTING": False}.get(pull.mergeable),
            "mergeable_state": {"MERGEABLE": "clean", "CONFLICTING": "dirty"}.get(pull.mergeable, "unknown"),
            "merged_by": user(pull.merged_by) if pull.merged_by else None,
            "comments": len(pull.comments),
            "maintainer_can_modify": False,
            "changed_files": len(pull.changed),
            **dict.fromkeys(("review_comments", "commits", "additions", "deletions"), 1),
        }
    return answer


def file(repo: Repository, pull: PullRequest, path: str) -> Json:
    """Return a changed file; a renamed one includes its previous path."""
    answer = {
        "sha": hashlib.sha1(path.encode(), usedforsecurity=False).hexdigest(),
        "filename": path,
        "status": "renamed" if path in pull.renamed else "modified",
        **dict.fromkeys(("additions", "deletions", "changes"), 1),
        "blob_url": f"{WEB}/{repo.slug}/blob/{pull.head_sha}/{path}",
        "raw_url": f"{WEB}/{repo.slug}/raw/{pull.head_sha}/{path}",
        "contents_url": f"{API}/repos/{repo.slug}/contents/{path}?ref={pull.head_sha}",
    }
    return answer | ({"previous_filename": pull.renamed[path]} if path in pull.renamed else {})


def _end(repo: Repository | None, ref: str, sha: str, who: User) -> Json:
    owner = repo.slug.partition("/")[0] if repo else who.login
    whole = repository(repo) if repo else None
    return {"label": f"{owner}:{ref}", "ref": ref, "sha": sha, "user": user(who), "repo": whole}


def issue(repo: Repository, pull: PullRequest) -> Json:
    """Return a pull request as an issue, because every pull request is one."""
    url = f"{API}/repos/{repo.slug}/issues/{pull.number}"
    html = f"{WEB}/{repo.slug}/pull/{pull.number}"
    return {
        "id": pull.id,
        "node_id": node("Issue", pull.id),
        "url": url,
        "repository_url": f"{API}/repos/{repo.slug}",
        "labels_url": f"{url}/labels{{/name}}",
        "comments_url": f"{url}/comments",
        "events_url": f"{url}/events",
        "html_url": html,
        "number": pull.number,
        "state": pull.state,
        "title": pull.title,
        "body": pull.body or None,
        "user": user(pull.author),
        "labels": [label(repo, name) for name in pull.labels],
        "assignee": None,
        "milestone": None,
        "locked": pull.locked,
        "active_lock_reason": pull.lock_reason,
        "comments": len(pull.comments),
        "pull_request": {"url": url, "html_url": html, "diff_url": f"{html}.diff", "patch_url": f"{html}.patch"},
        "closed_at": when(pull.closed_at),
        "created_at": when(pull.created_at),
        "updated_at": when(pull.updated_at),
        "author_association": "CONTRIBUTOR",
    }


def comment(repo: Repository, number: int, found: Comment) -> Json:
    """Return an issue comment."""
    return {
        "id": found.id,
        "node_id": node("IssueComment", found.id),
        "url": f"{API}/repos/{repo.slug}/issues/comments/{found.id}",
        "html_url": f"{WEB}/{repo.slug}/pull/{number}#issuecomment-{found.id}",
        "issue_url": f"{API}/repos/{repo.slug}/issues/{number}",
        "body": found.body,
        "user": user(found.author),
        "created_at": when(found.created_at),
        "updated_at": when(found.updated_at),
        "author_association": "CONTRIBUTOR",
    }


def event(repo: Repository, item: Item) -> Json:
    """Return a timeline item as an issue event."""
    answer: Json = {
        "id": item.id,
        "node_id": node("Event", item.id),
        "url": f"{API}/repos/{repo.slug}/issues/events/{item.id}",
        "actor": user(item.actor),
        "event": EVENTS[item.type],
        "commit_id": None,
        "commit_url": None,
        "created_at": when(item.at),
        "performed_via_github_app": None,
    }
    if "label" in item.data:
        answer["label"] = {"name": item.data["label"], "color": "0e8a16"}
    return answer


def deployment(repo: Repository, found: Deployment) -> Json:
    """Return a deployment."""
    url = f"{API}/repos/{repo.slug}/deployments/{found.id}"
    return {
        "id": found.id,
        "node_id": node("Deployment", found.id),
        "url": url,
        "sha": found.sha,
        "ref": found.ref,
        "task": "deploy",
        "payload": {},
        "original_environment": found.environment,
        "environment": found.environment,
        "description": found.description,
        "creator": user(found.creator),
        "created_at": when(found.created_at),
        "updated_at": when(found.created_at),
        "statuses_url": f"{url}/statuses",
        "repository_url": f"{API}/repos/{repo.slug}",
        "transient_environment": found.transient,
        "production_environment": found.production,
    }


def deployment_status(repo: Repository, found: Deployment, status: Json) -> Json:
    """Return a status of a deployment."""
    url = f"{API}/repos/{repo.slug}/deployments/{found.id}"
    return {
        "id": status["id"],
        "node_id": node("DeploymentStatus", status["id"]),
        "url": f"{url}/statuses/{status['id']}",
        "state": status["state"],
        "creator": user(status["creator"]),
        "description": status.get("description") or "",
        "environment": found.environment,
        "target_url": status.get("log_url") or status.get("target_url") or "",
        "environment_url": status.get("environment_url") or "",
        "log_url": status.get("log_url") or "",
        "created_at": when(status["at"]),
        "updated_at": when(status["at"]),
        "deployment_url": url,
        "repository_url": f"{API}/repos/{repo.slug}",
    }


def environment(repo: Repository, name: str, number: int) -> Json:
    """Return an environment, which GitHub creates with the first deployment to it."""
    return {
        "id": number,
        "node_id": node("Environment", number),
        "name": name,
        "url": f"{API}/repos/{repo.slug}/environments/{name}",
        "html_url": f"{WEB}/{repo.slug}/deployments/activity_log?environments_filter={name}",
        "created_at": when(repo.created_at),
        "updated_at": when(repo.created_at),
    }


def blob_id(content: bytes) -> str:
    """Return git's hash of a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def blob(repo: Repository, content: bytes) -> Json:
    """Return a file by its blob id. GitHub breaks the base64 into lines."""
    sha = blob_id(content)
    return {
        "sha": sha,
        "node_id": f"B_{sha}",
        "size": len(content),
        "url": f"{API}/repos/{repo.slug}/git/blobs/{sha}",
        "content": base64.encodebytes(content).decode(),
        "encoding": "base64",
    }


def tree(repo: Repository, ref: str, files: Mapping[str, bytes]) -> Json:
    """Return the files of a commit with their folders, as a recursive read shows them."""
    url = f"{API}/repos/{repo.slug}/git"
    folders = sorted({"/".join(parts[:n]) for parts in (p.split("/") for p in files) for n in range(1, len(parts))})
    entries: list[Json] = [
        {
            "path": path,
            "mode": "040000",
            "type": "tree",
            "sha": blob_id(f"{ref}:{path}".encode()),
            "url": f"{url}/trees",
        }
        for path in folders
    ]
    entries += [
        {
            "path": path,
            "mode": "100644",
            "type": "blob",
            "sha": blob_id(content),
            "size": len(content),
            "url": f"{url}/blobs/{blob_id(content)}",
        }
        for path, content in sorted(files.items())
    ]
    return {"sha": blob_id(f"{ref}:".encode()), "url": f"{url}/trees/{ref}", "tree": entries, "truncated": False}

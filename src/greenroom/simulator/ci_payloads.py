"""CI of the simulated world as JSON: workflow runs, checks, and the commits that they are for."""

from __future__ import annotations

import re
from typing import Any

from greenroom.simulator import payloads
from greenroom.simulator.payloads import API, WEB, node, when
from greenroom.simulator.world import CheckRun, Repository, User, WorkflowRun

Json = dict[str, Any]


def workflow_path(run: WorkflowRun) -> str:
    """Return the file of a run's workflow."""
    return f".github/workflows/{'-'.join(re.findall(r'[a-z0-9]+', run.name.lower())) or 'ci'}.yaml"


def workflow_run(repo: Repository, run: WorkflowRun) -> Json:
    """Return a run of GitHub Actions."""
    url = f"{API}/repos/{repo.slug}/actions/runs/{run.id}"
    ends = ("artifacts", "cancel", "jobs", "logs", "rerun")
    message = commit_message(repo, run.sha)
    commit = {"id": run.sha, "tree_id": run.sha, "message": message, "timestamp": when(run.created_at)}
    person = {"name": "Ada", "email": "ada@example.com"}
    return {
        "id": run.id,
        "node_id": node("WorkflowRun", run.id),
        "name": run.name,
        "display_title": message.partition("\n")[0],
        "path": workflow_path(run),
        "event": run.event,
        "status": run.status,
        "conclusion": run.conclusion,
        "run_number": run.number,
        "run_attempt": 1,
        "workflow_id": run.workflow,
        "check_suite_id": run.id,
        "check_suite_node_id": node("CheckSuite", run.id),
        "check_suite_url": f"{API}/repos/{repo.slug}/check-suites/{run.id}",
        "workflow_url": f"{API}/repos/{repo.slug}/actions/workflows/{run.workflow}",
        "url": url,
        "html_url": f"{WEB}/{repo.slug}/actions/runs/{run.id}",
        "previous_attempt_url": None,
        **{f"{end}_url": f"{url}/{end}" for end in ends},
        "created_at": when(run.created_at),
        "updated_at": when(run.updated_at),
        "run_started_at": when(run.started_at),
        "head_branch": run.branch,
        "head_sha": run.sha,
        "head_commit": {**commit, "author": person, "committer": person},
        "actor": payloads.user(run.actor),
        "triggering_actor": payloads.user(run.actor),
        "pull_requests": [],
        "repository": payloads.repository(repo),
        "head_repository": payloads.repository(repo),
    }


def check_run(repo: Repository, check: CheckRun) -> Json:
    """Return a check of an app."""
    url = f"{API}/repos/{repo.slug}/check-runs/{check.id}"
    output = dict.fromkeys(("title", "summary", "text"))
    return {
        "id": check.id,
        "node_id": node("CheckRun", check.id),
        "name": check.name,
        "head_sha": check.sha,
        "external_id": "",
        "url": url,
        "html_url": f"{WEB}/{repo.slug}/runs/{check.id}",
        "details_url": f"https://{check.app}.example.com/{check.id}",
        "status": check.status,
        "conclusion": check.conclusion,
        "started_at": when(check.started_at),
        "completed_at": when(check.completed_at),
        "output": {**output, "annotations_count": 0, "annotations_url": f"{url}/annotations"},
        "check_suite": {"id": check.id},
        "app": _app(repo, check.app),
        "pull_requests": [],
    }


def _app(repo: Repository, slug: str) -> Json:
    at = when(repo.created_at)
    return {
        "id": repo.id,
        "slug": slug,
        "node_id": node("App", repo.id),
        "owner": payloads.user(User(repo.id, slug, "Organization")),
        "name": slug,
        "description": "",
        "external_url": f"https://{slug}.example.com",
        "html_url": f"{WEB}/apps/{slug}",
        "created_at": at,
        "updated_at": at,
        "permissions": {"checks": "write"},
        "events": [],
    }


def commit_message(repo: Repository, sha: str) -> str:
    """Return the message of a commit."""
    return repo.commit_messages.get(sha, f"Commit {sha[:7]}")


def git_commit(repo: Repository, sha: str) -> Json:
    """Return a commit as git has it."""
    person = {"name": "Ada", "email": "ada@example.com", "date": when(repo.created_at)}
    url, page = f"{API}/repos/{repo.slug}/git", f"{WEB}/{repo.slug}/commit"
    return {
        "sha": sha,
        "node_id": node("Commit", repo.id),
        "url": f"{url}/commits/{sha}",
        "html_url": f"{page}/{sha}",
        "author": person,
        "committer": person,
        "message": commit_message(repo, sha),
        "tree": {"sha": sha, "url": f"{url}/trees/{sha}"},
        "parents": [],
        "verification": {
            **{"verified": False, "reason": "unsigned"},
            **dict.fromkeys(("signature", "payload", "verified_at")),
        },
    }

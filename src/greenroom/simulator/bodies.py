"""Bodies of webhooks, in the shapes of GitHub's own description: REST objects plus the fields that only webhooks have.

https://docs.github.com/en/webhooks/webhook-events-and-payloads
"""

from __future__ import annotations

from typing import Any

from greenroom.simulator import ci_payloads, payloads
from greenroom.simulator.payloads import API, WEB, node, when
from greenroom.simulator.world import Item, PullRequest, Repository, User, WorkflowRun, World

Json = dict[str, Any]


def body(world: World, event: str, action: str, repo: Repository, pull: PullRequest | None, who: User) -> Json:
    """Return the body of the webhook for the event that has just happened."""
    made: Json = {"action": action, "repository": payloads.repository(repo), "sender": payloads.user(who)}
    if pull and event.startswith("pull_request"):
        made |= {"number": pull.number, "pull_request": _pull_request(repo, pull)}
    elif pull:
        made["issue"] = _issue(repo, pull)
    match event, action:
        case "pull_request", "labeled" | "unlabeled" if pull:
            kind = "LabeledEvent" if action == "labeled" else "UnlabeledEvent"
            made["label"] = payloads.label(repo, _last(pull, kind).data["label"])
        case "pull_request", "synchronize" if pull:
            commits = [i.data["sha"] for i in pull.timeline if i.type == "PullRequestCommit"]
            made |= {"before": commits[-2], "after": pull.head_sha}
        case "pull_request_review", _ if pull:
            made["review"] = _review(repo, pull, _last(pull, "PullRequestReview"))
        case "issue_comment", _ if pull:
            latest = max(pull.comments, key=lambda c: (c.updated_at, c.id))
            made["comment"] = payloads.comment(repo, pull.number, latest) | {"performed_via_github_app": None}
            made["comment"]["reactions"] = _reactions(made["comment"]["url"])
            made |= {"changes": {}} if action == "edited" else {}
        case "repository", "renamed":
            old = next(slug for slug, number in reversed(world.renamed.items()) if number == repo.id)
            made["changes"] = {"repository": {"name": {"from": old.partition("/")[2]}}}
        case "workflow_run", _:
            run = repo.runs.get(repo.changed_run) or _any_run(world, repo, who)
            whole = {"repository": payloads.repository(repo), "head_repository": payloads.repository(repo)}
            made |= {"workflow": _workflow(repo, run), "workflow_run": ci_payloads.workflow_run(repo, run) | whole}
        case "deployment_status", _:
            found = max(repo.deployments.values(), key=lambda d: max((int(s["id"]) for s in d.statuses), default=0))
            made["deployment"] = payloads.deployment(repo, found)
            made["deployment_status"] = payloads.deployment_status(repo, found, found.statuses[-1])
    return made


def _last(pull: PullRequest, kind: str) -> Item:
    return next(i for i in reversed(pull.timeline) if i.type == kind)


def _pull_request(repo: Repository, pull: PullRequest) -> Json:
    made = payloads.pull_request(repo, pull, whole=True)
    for end in ("head", "base"):
        if made[end]["repo"]:
            visibility = "private" if made[end]["repo"]["private"] else "public"
            made[end]["repo"] |= {"topics": [], "visibility": visibility}
    return made | {"assignees": [], "requested_reviewers": [], "requested_teams": [], "active_lock_reason": None}


def _issue(repo: Repository, pull: PullRequest) -> Json:
    made = payloads.issue(repo, pull)
    return made | {"assignees": [], "active_lock_reason": None, "reactions": _reactions(made["url"])}


def _reactions(url: str) -> Json:
    kinds = ("+1", "-1", "laugh", "hooray", "confused", "heart", "rocket", "eyes")
    return {"url": f"{url}/reactions", "total_count": 0, **dict.fromkeys(kinds, 0)}


def _review(repo: Repository, pull: PullRequest, item: Item) -> Json:
    page = f"{WEB}/{repo.slug}/pull/{pull.number}"
    of = f"{API}/repos/{repo.slug}/pulls/{pull.number}"
    return {
        "id": item.id,
        "node_id": node("PullRequestReview", item.id),
        "user": payloads.user(item.actor),
        "body": "Looks good.",
        "commit_id": pull.head_sha,
        "submitted_at": when(item.at),
        "state": "commented",
        "html_url": f"{page}#pullrequestreview-{item.id}",
        "pull_request_url": of,
        "author_association": "CONTRIBUTOR",
        "_links": {"html": {"href": f"{page}#pullrequestreview-{item.id}"}, "pull_request": {"href": of}},
    }


def _any_run(world: World, repo: Repository, who: User) -> WorkflowRun:
    """Return a run of which only the webhook is known."""
    now, event = world.now(), "pull_request"
    return WorkflowRun(
        world.id(), repo.id, "CI", 1, event, repo.main_sha, "main", "completed", "success", who, now, now, now
    )


def _workflow(repo: Repository, run: WorkflowRun) -> Json:
    at = when(repo.created_at)
    return {
        "id": run.workflow,
        "node_id": node("Workflow", run.workflow),
        "name": run.name,
        "path": ci_payloads.workflow_path(run),
        "state": "active",
        "created_at": at,
        "updated_at": at,
        "url": f"{API}/repos/{repo.slug}/actions/workflows/{run.workflow}",
        "html_url": f"{WEB}/{repo.slug}/blob/main/{ci_payloads.workflow_path(run)}",
        "badge_url": f"{WEB}/{repo.slug}/actions/workflows/{run.workflow}/badge.svg",
    }

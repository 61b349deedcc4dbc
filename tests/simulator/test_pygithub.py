"""A client that nobody here wrote lives through a pull request's life on the simulator, judged by GitHub's OpenAPI."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from typing import Any

import github
import pytest

from greenroom.asgi_server import running
from greenroom.simulator.app import Simulator
from greenroom.simulator.world import World
from judge import COUNTS, Judge, operations


def life(base_url: str) -> dict[str, Any]:
    """What PyGithub sees and does, from opening to merge."""
    gh = github.Github(
        auth=github.Auth.Token("token-ada"),
        base_url=f"{base_url}/api/v3",
        retry=None,
        seconds_between_requests=None,
        seconds_between_writes=None,
    )
    seen: dict[str, Any] = {"me": gh.get_user().login, "limit": gh.get_rate_limit().rate.limit}
    repo = gh.get_repo("shop/catalog")
    pull = repo.create_pull(base="main", head="feature", title="A feature", draft=False)
    pull.add_to_labels("preview", "keep")
    pull.remove_from_labels("keep")
    seen["labels"] = [x.name for x in repo.get_pull(pull.number).labels]
    seen["issue labels"] = [x.name for x in repo.get_issue(pull.number).get_labels()]
    comment = pull.create_issue_comment("first")
    comment.edit("second")
    other = pull.create_issue_comment("third")
    other.delete()
    seen["comments"] = [c.body for c in pull.get_issue_comments()]
    seen["comment"] = pull.get_issue_comment(comment.id).body
    pull.create_review(body="looks fine", event="COMMENT")
    seen["events"] = [e.event for e in repo.get_issue(pull.number).get_events()]
    seen["timeline"] = [e.event for e in repo.get_issue(pull.number).get_timeline()]
    seen["permission"] = repo.get_collaborator_permission("ada")
    seen["merge ref"] = repo.get_git_ref(f"pull/{pull.number}/merge").object.sha == pull.merge_commit_sha
    seen["files"] = [f.filename for f in pull.get_files()]
    for _ in range(2):
        deployment = repo.create_deployment(
            ref=pull.head.sha,
            environment="preview",
            required_contexts=[],
            auto_merge=False,
            production_environment=False,
        )
        deployment.create_status("success", environment_url="https://catalog-pr-1.example.com")
    seen["states"] = [[s.state for s in d.get_statuses()] for d in repo.get_deployments()]
    seen["environments"] = [e.name for e in repo.get_environments()]
    seen["runs"] = [r.conclusion for r in repo.get_workflow_runs(head_sha=pull.head.sha)]
    [run] = repo.get_workflow_runs(head_sha=pull.head.sha)
    _, answer = repo.requester.requestJsonAndCheck("GET", f"{run.workflow_url}/runs", {"status": "success"})
    seen["runs of the workflow"] = answer["total_count"]
    _, answer = repo.requester.requestJsonAndCheck("GET", f"{repo.url}/commits/{pull.head.sha}/check-runs")
    seen["checks"] = [(c["app"]["slug"], c["name"]) for c in answer["check_runs"]]
    seen["message"] = repo.get_git_commit(pull.head.sha).message
    [file] = repo.get_git_tree(pull.head.sha, recursive=True).tree
    seen["file"] = (file.path, base64.b64decode(repo.get_git_blob(file.sha).content))
    pull.edit(state="closed")
    pull.edit(state="open")
    seen["merged"] = pull.merge().merged
    seen["state"] = repo.get_pull(pull.number).state
    seen["open"] = [p.number for p in repo.get_pulls()]
    seen["all"] = [p.number for p in repo.get_pulls(state="all")]
    return seen


async def test_pygithub_lives_through_a_pull_request() -> None:
    world = World()
    world.token("token-ada", "ada")
    world.collaborator("shop/catalog", "ada", "admin")
    head = hashlib.sha1(b"feature", usedforsecurity=False).hexdigest()
    world.finish_run("shop/catalog", world.run_workflow("shop/catalog", head).id)
    world.check("shop/catalog", head, name="image", app="buildkite", conclusion="success")
    world.commit_message("shop/catalog", head, "A feature [skip ci]")
    world.repository("shop/catalog").files[head] = {"seed.sql": b"dump" * 40}
    judge = Judge(Simulator(world))
    async with running(judge) as url:
        seen = await asyncio.to_thread(life, url)
    assert "\n".join(judge.violations) == ""
    assert seen == {
        "me": "ada",
        "limit": 5000,
        "labels": ["preview"],
        "issue labels": ["preview"],
        "comments": ["second"],
        "comment": "second",
        "events": ["labeled", "labeled", "unlabeled"],
        "timeline": ["labeled", "labeled", "unlabeled"],
        "permission": "admin",
        "merge ref": True,
        "files": ["README.md"],
        "states": [["success"], ["inactive", "success"]],
        "environments": ["preview"],
        "runs": ["success"],
        "runs of the workflow": 1,
        "checks": [("buildkite", "image"), ("github-actions", "build")],
        "message": "A feature [skip ci]",
        "file": ("seed.sql", b"dump" * 40),
        "merged": True,
        "state": "closed",
        "open": [],
        "all": [1],
    }
    unjudged = [o for o in operations() if not COUNTS[o]]
    assert unjudged == []


@pytest.mark.parametrize(("token", "error"), [("wrong", github.BadCredentialsException)])
async def test_a_wrong_token_is_refused(token: str, error: type[Exception]) -> None:
    async with running(Simulator(World())) as url:
        gh = github.Github(auth=github.Auth.Token(token), base_url=f"{url}/api/v3", retry=None)
        with pytest.raises(error):
            await asyncio.to_thread(lambda: gh.get_user().login)

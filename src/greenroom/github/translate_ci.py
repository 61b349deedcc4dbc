"""Translation of workflow runs and check runs to core values. No HTTP."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from greenroom.core.model.ci import CiRun, CiState, EarlierRun
from greenroom.github.reading import Payload
from greenroom.github.translate import time

ACTIONS = "github-actions"
_ENDS = {
    "failure": CiState.FAILED,
    "timed_out": CiState.FAILED,
    "startup_failure": CiState.FAILED,
    "success": CiState.SUCCEEDED,
    "neutral": CiState.SUCCEEDED,
    "skipped": CiState.SKIPPED,
    "cancelled": CiState.CANCELED,
    "stale": CiState.CANCELED,
    "action_required": CiState.APPROVAL,
}
_STATES = {
    "in_progress": CiState.RUNNING,
    "waiting": CiState.PROTECTED,
    "queued": CiState.QUEUED,
    "requested": CiState.QUEUED,
    "pending": CiState.QUEUED,  # another run of its concurrency group is in progress
}


def _state(node: Payload) -> CiState:
    """Return the state of a run. Raise `LookupError` for one that GitHub does not document."""
    return _ENDS[node["conclusion"]] if node["status"] == "completed" else _STATES[node["status"]]


def newest(nodes: Iterable[Payload], sha: str) -> list[Payload]:
    """Return the newest run of each workflow after each event, oldest first. A later run replaces an earlier one."""
    found: dict[tuple[int, str], Payload] = {}
    for node in sorted(nodes, key=lambda n: int(n["id"])):
        if node["head_sha"] == sha:
            found[int(node["workflow_id"]), str(node["event"])] = node
    return sorted(found.values(), key=lambda n: int(n["id"]))


def workflow_run(node: Payload) -> CiRun:
    """Return a run of GitHub Actions."""
    return CiRun(
        name=str(node.get("name") or node["path"]),
        state=_state(node),
        page=f"actions/runs/{int(node['id'])}",
        event=str(node["event"]),
        begun_at=time(node.get("run_started_at") or node["created_at"]),
        changed_at=time(node["updated_at"]),
    )


def duration(node: Payload) -> timedelta:
    """Return how long a completed run took, in its last attempt."""
    return time(node["updated_at"]) - time(node.get("run_started_at") or node["created_at"])


def earlier(nodes: Iterable[Payload], sha: str) -> EarlierRun | None:
    """Return the newest run of a branch that was for another commit."""
    found = next((n for n in nodes if n["head_sha"] != sha), None)
    return EarlierRun(workflow_run(found).name, str(found["head_sha"])) if found else None


def of_another_app(node: Payload) -> bool:
    """Return whether a check run belongs to another app. Those of GitHub Actions are the jobs of its workflow runs."""
    app = node["app"]
    return app is not None and app["slug"] != ACTIONS


def check_run(node: Payload) -> CiRun:
    """Return a check run as a run of CI."""
    state = _state(node)  # a maintainer cannot approve a check, so its app requires some other action
    begun, ended = (None if node[key] is None else time(node[key]) for key in ("started_at", "completed_at"))
    state = CiState.ACTION if state is CiState.APPROVAL else state
    return CiRun(str(node["name"]), state, f"runs/{int(node['id'])}", "", begun, ended or begun)

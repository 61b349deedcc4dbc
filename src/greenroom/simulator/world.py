"""The state of a simulated GitHub, and the actions of people, bots and git on it. This module has no HTTP.

Times have whole seconds, as on GitHub. Renaming a repository's label changes its pull requests without an event.
Deleting it adds an "unlabeled" event, by the person who deleted it, to each of them. GraphQL then shows every event of
that label without a label.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import MISSING, dataclass, field, fields
from datetime import UTC, datetime, timedelta
from typing import Any

from greenroom.simulator.faults import Faults
from greenroom.simulator.points import Points

_KEPT = ("_ids", "_small_ids", "users", "repositories", "renamed")
RANKS = ("none", "read", "triage", "write", "maintain", "admin")


@dataclass(slots=True)
class User:
    """A person or a bot. `type` is User or Bot, and a bot's login ends with `[bot]`."""

    id: int
    login: str
    type: str = "User"


@dataclass(slots=True)
class Item:
    """One entry of a timeline, under its GraphQL type name."""

    id: int
    type: str
    at: datetime
    actor: User
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Comment:
    """One comment; `editor` is the user who edited it last."""

    id: int
    body: str
    author: User
    created_at: datetime
    updated_at: datetime
    editor: User | None = None


@dataclass(slots=True)
class Deployment:
    """One deployment with its statuses, oldest first."""

    id: int
    sha: str
    ref: str
    environment: str
    creator: User
    created_at: datetime
    transient: bool
    production: bool
    description: str | None = None
    statuses: list[dict[str, Any]] = field(default_factory=list)


@dataclass(slots=True)
class WorkflowRun:
    """One run of a workflow of GitHub Actions. `workflow` is its id, and `number` counts the runs of the workflow."""

    id: int
    workflow: int
    name: str
    number: int
    event: str
    sha: str
    branch: str
    status: str
    conclusion: str | None
    actor: User
    created_at: datetime
    started_at: datetime
    updated_at: datetime


@dataclass(slots=True)
class CheckRun:
    """One check of an app that is not GitHub Actions."""

    id: int
    name: str
    app: str
    sha: str
    status: str
    conclusion: str | None
    started_at: datetime | None
    completed_at: datetime | None


@dataclass(slots=True)
class PullRequest:
    """One pull request. `head_repository` is None when the fork is gone.

    `hidden` means that GitHub shows it to nobody, for example because its author's account is flagged.
    """

    id: int
    number: int
    title: str
    author: User
    head_ref: str
    head_sha: str
    head_repository: Repository | None
    base_ref: str
    created_at: datetime
    updated_at: datetime
    draft: bool = False
    state: str = "open"
    closed_at: datetime | None = None
    merged_at: datetime | None = None
    merged_by: User | None = None
    labels: list[str] = field(default_factory=list)
    timeline: list[Item] = field(default_factory=list)
    comments: list[Comment] = field(default_factory=list)
    changed: list[str] = field(default_factory=lambda: ["README.md"])
    renamed: dict[str, str] = field(default_factory=dict)  # new path -> old path
    mergeable: str = "MERGEABLE"
    base_seen: str = ""  # the commit of the base branch at the last push; GitHub keeps showing it
    onto: str = ""  # the commit of the base branch that refs/pull/N/merge was made with; empty: its first one
    body: str = ""
    lock_reason: str | None = None
    locked: bool = False
    hidden: bool = False

    @property
    def merge_sha(self) -> str:
        """Return the commit of refs/pull/N/merge."""
        made_of = f"merge {self.head_sha}{self.onto}"
        return hashlib.sha1(made_of.encode(), usedforsecurity=False).hexdigest()


@dataclass(slots=True)
class Repository:
    """One repository with its people."""

    id: int
    slug: str
    private: bool
    created_at: datetime
    permissions: dict[str, str] = field(default_factory=dict)
    pull_requests: dict[int, PullRequest] = field(default_factory=dict)
    deployments: dict[int, Deployment] = field(default_factory=dict)
    labels: dict[str, int] = field(default_factory=dict)
    labels_made: dict[int, datetime] = field(default_factory=dict)  # by a label's id
    files: dict[str, dict[str, bytes]] = field(default_factory=dict)  # by commit or branch, then by path
    next_number: int = 1
    hidden: bool = False
    archived: bool = False
    main_sha: str = "0" * 40
    workflows: dict[str, int] = field(default_factory=dict)  # id by name
    runs: dict[int, WorkflowRun] = field(default_factory=dict)
    changed_run: int = 0  # the one that changed last
    checks: dict[int, CheckRun] = field(default_factory=dict)
    commit_messages: dict[str, str] = field(default_factory=dict)  # by commit, if it is not a usual one
    lfs: dict[str, bytes] = field(default_factory=dict)  # contents of Git LFS, by SHA-256

    def complete(self) -> None:
        """Set the fields that did not exist yet when this repository was stored."""
        for each in fields(self):
            if not hasattr(self, each.name):
                value = each.default_factory() if each.default_factory is not MISSING else each.default
                setattr(self, each.name, value)


class World:
    """One simulated GitHub. Its clock moves only with `advance`, unless `running` is set."""

    def __init__(self, start: datetime | None = None, *, running: bool = False) -> None:
        self._start = (start or datetime(2026, 3, 2, 9, 0, tzinfo=UTC)).replace(microsecond=0)
        self._since = time.monotonic() if running else None
        self._ids = 5_000_000_000  # comments and events outgrew 32 bits; users and repositories have not
        self._small_ids = 1000
        self.users: dict[str, User] = {}
        self.tokens: dict[str, User] = {}
        self.repositories: dict[str, Repository] = {}
        self.renamed: dict[str, int] = {}
        self.faults = Faults()
        self.points = Points()
        self.listeners: list[Callable[[str, str, Repository, PullRequest | None, User], None]] = []
        self.ticking: list[Callable[[], None]] = []  # called before the clock is moved by hand

    def kept(self) -> dict[str, Any]:
        """Return what survives a restart: the assigned numbers, people and repositories."""
        return {name: getattr(self, name) for name in _KEPT}

    def resume(self, kept: dict[str, Any]) -> None:
        """Restore what `kept` returned. The clock is not restored, because GitHub's clock does not stop."""
        for name in _KEPT:
            setattr(self, name, kept[name])
        for repository in self.repositories.values():
            repository.complete()

    # --- clock, people, repositories ---

    def now(self) -> datetime:
        """Return the time on GitHub's clock, in whole seconds."""
        passed = time.monotonic() - self._since if self._since is not None else 0.0
        return (self._start + timedelta(seconds=passed)).replace(microsecond=0)

    def advance(self, by: timedelta) -> None:
        """Advance the clock."""
        for listener in self.ticking:
            listener()
        self._start += by

    def id(self) -> int:
        """Return an id that nothing else has."""
        self._ids += 1
        return self._ids

    def small_id(self) -> int:
        """Return an id that no other user or repository has, within 32 bits."""
        self._small_ids += 1
        return self._small_ids

    def user(self, login: str) -> User:
        """Return the user with a login. Create a new user if needed; `[bot]` at the end makes it a bot."""
        if login not in self.users:
            self.users[login] = User(self.small_id(), login, "Bot" if login.endswith("[bot]") else "User")
        return self.users[login]

    def token(self, value: str, login: str) -> None:
        """Let a token act as a user."""
        self.tokens[value] = self.user(login)

    def repository(self, slug: str, *, private: bool = True) -> Repository:
        """Return a repository. Create it if it does not exist."""
        if slug.lower() not in self.repositories:
            made = Repository(self.small_id(), slug, private, self.now())
            self.repositories[slug.lower()] = made
        return self.repositories[slug.lower()]

    def collaborator(self, slug: str, login: str, permission: str = "write") -> None:
        """Give a user a permission: none, read, triage, write, maintain or admin."""
        if permission not in RANKS:
            raise ValueError(f"{permission!r} is not a valid permission; known: {', '.join(RANKS)}")
        self.repository(slug).permissions[self.user(login).login] = permission

    def rename_repository(self, old: str, new: str) -> None:
        """Rename a repository. REST then answers 301 for the old name, and GraphQL follows it silently."""
        repository = self.repositories.pop(old.lower())
        self.renamed[old.lower()] = repository.id
        repository.slug = new
        self.repositories[new.lower()] = repository
        self._tell("repository", "renamed", repository, None, self.user("admin"))

    def delete_repository(self, slug: str) -> None:
        """Delete a repository. A new one with the same name gets another id."""
        repository = self.repositories.pop(slug.lower())
        self._tell("repository", "deleted", repository, None, self.user("admin"))

    def by_id(self, repository_id: int) -> Repository | None:
        """Return a repository by its id; None if there is none."""
        return next((r for r in self.repositories.values() if r.id == repository_id), None)

    # --- pull requests ---

    def open_pull_request(
        self,
        slug: str,
        *,
        head: str,
        sha: str,
        by: str,
        title: str = "",
        draft: bool = False,
        fork: str | None = None,
        body: str = "",
        base: str = "",
        changed: list[str] | None = None,
    ) -> PullRequest:
        """Open a pull request to main; `fork` is the slug of the repository that contains the head.

        `base` is the commit that it is merged onto, and `changed` has the paths of its files.
        """
        repository = self.repository(slug)
        now, author = self.now(), self.user(by)
        pull_request = PullRequest(
            id=self.id(),
            number=repository.next_number,
            title=title or f"Change {head}",
            author=author,
            head_ref=head,
            head_sha=sha,
            head_repository=self.repository(fork) if fork else repository,
            base_ref="main",
            created_at=now,
            updated_at=now,
            draft=draft,
            body=body,
            base_seen=repository.main_sha,
            onto=base,
            changed=["README.md"] if changed is None else changed,
        )
        repository.next_number += 1
        repository.pull_requests[pull_request.number] = pull_request
        self._item(pull_request, "PullRequestCommit", author, sha=sha, committed=now)
        self._tell("pull_request", "opened", repository, pull_request, author)
        return pull_request

    def pull_request(self, slug: str, number: int) -> PullRequest:
        """Return one pull request. Raise `KeyError` when there is none."""
        return self.repository(slug).pull_requests[number]

    def push(
        self, slug: str, number: int, sha: str, by: str, *, force: bool = False, committed: datetime | None = None
    ) -> None:
        """Push a commit to the head branch; `committed` is when it was made, if that was earlier."""
        pull_request, who = self.pull_request(slug, number), self.user(by)
        pull_request.head_sha, pull_request.base_seen = sha, self.repository(slug).main_sha
        if force:
            self._item(pull_request, "HeadRefForcePushedEvent", who)
        self._item(pull_request, "PullRequestCommit", who, sha=sha, committed=committed or self.now())
        self._touch(slug, pull_request, "pull_request", "synchronize", who)

    def label(self, slug: str, number: int, label: str, by: str) -> None:
        """Add a label to a pull request. If it has the label already, change nothing."""
        pull_request, who = self.pull_request(slug, number), self.user(by)
        label = self._spelling(slug, label)
        label_id = self.create_label(slug, label)
        if label in pull_request.labels:
            return
        pull_request.labels.append(label)
        self._item(pull_request, "LabeledEvent", who, label=label, label_id=label_id)
        self._touch(slug, pull_request, "pull_request", "labeled", who)

    def unlabel(self, slug: str, number: int, label: str, by: str) -> bool:
        """Remove a label from a pull request. Return False if it does not have the label."""
        pull_request, who = self.pull_request(slug, number), self.user(by)
        label = self._spelling(slug, label)
        if label not in pull_request.labels:
            return False
        pull_request.labels.remove(label)
        label_id = self.repository(slug).labels[label]
        self._item(pull_request, "UnlabeledEvent", who, label=label, label_id=label_id)
        self._touch(slug, pull_request, "pull_request", "unlabeled", who)
        return True

    def rename_label(self, slug: str, old: str, new: str) -> None:
        """Rename a label of the repository, without an event. Raise `ValueError` when the new name is taken.

        https://docs.github.com/en/rest/issues/labels#update-a-label then answers 422 (`already_exists`).
        """
        repository, old = self.repository(slug), self._spelling(slug, old)
        if new.lower() != old.lower() and any(new.lower() == name.lower() for name in repository.labels):
            raise ValueError(f"{slug} already has a label {new!r}.")
        repository.labels[new] = repository.labels.pop(old)
        for pull_request in repository.pull_requests.values():
            pull_request.labels = [new if x == old else x for x in pull_request.labels]

    def create_label(self, slug: str, label: str) -> int:
        """Create a label in the repository unless it exists, and return its id."""
        repository, label = self.repository(slug), self._spelling(slug, label)
        if label not in repository.labels:
            repository.labels[label] = self.id()
            repository.labels_made[repository.labels[label]] = self.now()
        return repository.labels[label]

    def delete_label(self, slug: str, label: str, by: str = "admin") -> None:
        """Delete a label of the repository. Each pull request with it gets an `unlabeled` event by that person.

        GitHub's webhooks for this have no label. https://github.com/octokit/webhooks/issues/639
        """
        repository, label, who = self.repository(slug), self._spelling(slug, label), self.user(by)
        label_id = repository.labels.pop(label)
        repository.labels_made.pop(label_id)
        for pull_request in repository.pull_requests.values():
            if label in pull_request.labels:
                pull_request.labels.remove(label)
                self._item(pull_request, "UnlabeledEvent", who, label=label, label_id=label_id)
                self._touch(slug, pull_request, "pull_request", "unlabeled", who)

    def comment(self, slug: str, number: int, body: str, by: str) -> Comment:
        """Add a comment to a pull request."""
        pull_request, who, now = self.pull_request(slug, number), self.user(by), self.now()
        comment = Comment(self.id(), body, who, now, now)
        pull_request.comments.append(comment)
        self._item(pull_request, "IssueComment", who, comment=comment)
        self._touch(slug, pull_request, "issue_comment", "created", who)
        return comment

    def edit_comment(self, slug: str, comment_id: int, body: str, by: str) -> Comment | None:
        """Edit a comment and return it; None when there is none."""
        for pull_request in self.repository(slug).pull_requests.values():
            for comment in pull_request.comments:
                if comment.id == comment_id:
                    comment.body, comment.editor, comment.updated_at = body, self.user(by), self.now()
                    self._tell("issue_comment", "edited", self.repository(slug), pull_request, self.user(by))
                    return comment
        return None

    def delete_comment(self, slug: str, comment_id: int) -> bool:
        """Delete a comment. Return False when there is none."""
        for pull_request in self.repository(slug).pull_requests.values():
            kept = [c for c in pull_request.comments if c.id != comment_id]
            if len(kept) != len(pull_request.comments):
                pull_request.comments = kept
                return True
        return False

    def lock(self, slug: str, number: int, by: str, reason: str | None = None) -> None:
        """Lock the conversation.

        https://docs.github.com/en/communities/moderating-comments-and-conversations/locking-conversations
        """
        pull_request, who = self.pull_request(slug, number), self.user(by)
        pull_request.locked, pull_request.lock_reason = True, reason
        self._tell("pull_request", "locked", self.repository(slug), pull_request, who)

    def unlock(self, slug: str, number: int, by: str) -> None:
        """Unlock the conversation."""
        pull_request = self.pull_request(slug, number)
        pull_request.locked, pull_request.lock_reason = False, None
        self._tell("pull_request", "unlocked", self.repository(slug), pull_request, self.user(by))

    def may_comment(self, slug: str, number: int, who: User) -> bool:
        """Return whether a user may comment. In a locked conversation, only people with write access may.

        An App is not a collaborator, so its bot may not, whatever permissions it has.
        """
        rank = self.repository(slug).permissions.get(who.login, "none")
        return not self.pull_request(slug, number).locked or RANKS.index(rank) >= RANKS.index("write")

    def review(self, slug: str, number: int, by: str, begun: datetime | None = None) -> Item:
        """Add a review with a comment. `begun` is when its first pending comment was written, if that was earlier."""
        item = self.begin_review(slug, number, by)
        item.at = begun or item.at
        self.submit_review(slug, number, item)
        return item

    def begin_review(self, slug: str, number: int, by: str) -> Item:
        """Begin a review, which is pending. GitHub keeps this time as its `createdAt`."""
        return self._item(self.pull_request(slug, number), "PullRequestReview", self.user(by), submitted=None)

    def submit_review(self, slug: str, number: int, review: Item) -> None:
        """Submit a pending review."""
        review.data["submitted"] = self.now()
        self._touch(slug, self.pull_request(slug, number), "pull_request_review", "submitted", review.actor)

    def move_base(self, slug: str, sha: str) -> None:
        """Move the base branch, so that GitHub makes new merge commits for unchanged heads."""
        repository = self.repository(slug)
        repository.main_sha = sha
        for pull_request in repository.pull_requests.values():
            pull_request.onto = sha

    def retitle(self, slug: str, number: int, title: str) -> None:
        """Change the title of a pull request."""
        self.pull_request(slug, number).title = title

    def change(self, slug: str, number: int, paths: list[str]) -> None:
        """Replace the paths of the files that a pull request changes."""
        self.pull_request(slug, number).changed = paths

    def retarget(self, slug: str, number: int, base: str, by: str) -> None:
        """Change the base branch of a pull request, as when the one below it in a stack was merged."""
        pull_request = self.pull_request(slug, number)
        pull_request.base_ref, pull_request.onto = base, f"{self.repository(slug).main_sha} {base}"
        self._touch(slug, pull_request, "pull_request", "edited", self.user(by))

    def ready_for_review(self, slug: str, number: int, by: str) -> None:
        """Turn a draft into a pull request that is ready for review."""
        pull_request, who = self.pull_request(slug, number), self.user(by)
        pull_request.draft = False
        self._item(pull_request, "ReadyForReviewEvent", who)
        self._touch(slug, pull_request, "pull_request", "ready_for_review", who)

    def close(self, slug: str, number: int, by: str, *, merge: bool = False) -> None:
        """Close a pull request, or merge it."""
        pull_request, who, now = self.pull_request(slug, number), self.user(by), self.now()
        pull_request.state, pull_request.closed_at = "closed", now
        if merge:
            pull_request.merged_at, pull_request.merged_by = now, who
        self._item(pull_request, "ClosedEvent", who)
        self._touch(slug, pull_request, "pull_request", "closed", who)

    def reopen(self, slug: str, number: int, by: str) -> None:
        """Reopen a closed pull request."""
        pull_request, who = self.pull_request(slug, number), self.user(by)
        pull_request.state, pull_request.closed_at = "open", None
        self._item(pull_request, "ReopenedEvent", who)
        self._touch(slug, pull_request, "pull_request", "reopened", who)

    def workflow_completed(self, slug: str) -> None:
        """Send the webhook for the end of a workflow run, which may have pushed an image. Nothing else changes."""
        self._tell("workflow_run", "completed", self.repository(slug), None, self.user("github-actions[bot]"))

    # --- CI ---

    def run_workflow(
        self,
        slug: str,
        sha: str,
        *,
        name: str = "build",
        event: str = "pull_request",
        branch: str = "feature",
        status: str = "in_progress",
        conclusion: str | None = None,
    ) -> WorkflowRun:
        """Start a run of a workflow for a commit. One that needs approval is `completed` with `action_required`."""
        repository, now = self.repository(slug), self.now()
        workflow = repository.workflows.setdefault(name, self.small_id())
        number = 1 + sum(r.workflow == workflow for r in repository.runs.values())
        actor = self.user("ada")
        run = WorkflowRun(
            self.id(), workflow, name, number, event, sha, branch, status, conclusion, actor, now, now, now
        )
        repository.runs[run.id] = run
        self._tell_run(repository, run, "requested")
        return run

    def change_run(self, slug: str, run: int, status: str, conclusion: str | None = None) -> None:
        """Change the state of a run: `in_progress`, or `completed` with a conclusion."""
        repository = self.repository(slug)
        found = repository.runs[run]
        found.status, found.conclusion, found.updated_at = status, conclusion, self.now()
        self._tell_run(repository, found, status)

    def finish_run(self, slug: str, run: int, conclusion: str = "success") -> None:
        """End a run."""
        self.change_run(slug, run, "completed", conclusion)

    def check(
        self, slug: str, sha: str, *, name: str, app: str, status: str = "completed", conclusion: str | None = None
    ) -> CheckRun:
        """Add a check of another app to a commit."""
        now = self.now()
        begun, ended = (None if status == "queued" else now), (now if status == "completed" else None)
        made = CheckRun(self.id(), name, app, sha, status, conclusion, begun, ended)
        self.repository(slug).checks[made.id] = made
        return made

    def commit_message(self, slug: str, sha: str, message: str) -> None:
        """Set the message of a commit."""
        self.repository(slug).commit_messages[sha] = message

    def _tell_run(self, repository: Repository, run: WorkflowRun, action: str) -> None:
        repository.changed_run = run.id
        if action in ("requested", "in_progress", "completed"):
            self._tell("workflow_run", action, repository, None, run.actor)

    # --- deployments ---

    def deploy(self, slug: str, deployment: Deployment) -> Deployment:
        """Add a deployment."""
        self.repository(slug).deployments[deployment.id] = deployment
        return deployment

    def deployment_status(self, slug: str, deployment_id: int, status: dict[str, Any], by: User) -> dict[str, Any]:
        """Add a status. A success retires earlier ones of its environment that are neither transient nor production.

        https://docs.github.com/en/rest/deployments/statuses#create-a-deployment-status (`auto_inactive`)
        """
        repository = self.repository(slug)
        deployment = repository.deployments[deployment_id]
        made = {"id": self.id(), "at": self.now(), "creator": by, "auto_inactive": True, **status}
        deployment.statuses.append(made)
        if made["state"] == "success" and made["auto_inactive"]:
            for other in repository.deployments.values():
                retired = other.environment == deployment.environment and other.id < deployment.id
                if retired and not other.transient and not other.production:
                    other.statuses.append({"id": self.id(), "at": self.now(), "creator": by, "state": "inactive"})
        self._tell("deployment_status", "created", repository, None, by)
        return made

    # --- helpers ---

    def _spelling(self, slug: str, label: str) -> str:
        """Return a label in the repository's spelling: GitHub ignores case and keeps the first spelling."""
        return next((known for known in self.repository(slug).labels if known.casefold() == label.casefold()), label)

    def _item(self, pull_request: PullRequest, kind: str, actor: User, **data: Any) -> Item:
        item = Item(self.id(), kind, self.now(), actor, data)
        pull_request.timeline.append(item)
        return item

    def _touch(self, slug: str, pull_request: PullRequest, event: str, action: str, who: User) -> None:
        pull_request.updated_at = self.now()
        self._tell(event, action, self.repository(slug), pull_request, who)

    def _tell(
        self, event: str, action: str, repository: Repository, pull_request: PullRequest | None, who: User
    ) -> None:
        for listener in self.listeners:
            listener(event, action, repository, pull_request, who)

"""GitHub's REST API for the simulated world: the operations on pull requests that Greenroom and other clients call."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from greenroom.simulator import ci_payloads, payloads
from greenroom.simulator.world import CheckRun, Comment, Deployment, Item, PullRequest, Repository, User, World

Json = dict[str, Any]
LONGEST = 65536
STATES = ("error", "failure", "inactive", "in_progress", "queued", "pending", "success")
EFFECTIVE = {"triage": "read", "maintain": "write"}


class Wrong(Exception):
    """An error response, with status and message as on GitHub."""

    def __init__(self, status: int, message: str = "Not Found", **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.body = {
            "message": message,
            "documentation_url": "https://docs.github.com/rest",
            "status": str(status),
            **more,
        }


class Rest:
    """The request handlers. `request.state.user` is the user who sent the request."""

    def __init__(self, world: World) -> None:
        self.world = world

    def routes(self) -> list[Route]:
        """Return the routes of all operations."""
        repo = "/repos/{owner}/{repo}"
        pull, issue = f"{repo}/pulls/{{number:int}}", f"{repo}/issues/{{number:int}}"
        table: list[tuple[str, str, Callable[[Request], Awaitable[Response]]]] = [
            ("GET", "/user", self.me),
            ("GET", "/rate_limit", self.rate_limit),
            ("GET", repo, self.repository),
            ("GET", f"{repo}/pulls", self.pulls),
            ("POST", f"{repo}/pulls", self.open),
            ("GET", pull, self.pull),
            ("PATCH", pull, self.edit),
            ("GET", f"{pull}/files", self.files),
            ("PUT", f"{pull}/merge", self.merge),
            ("POST", f"{pull}/reviews", self.review),
            ("GET", issue, self.issue),
            ("GET", f"{issue}/events", self.events),
            ("GET", f"{issue}/timeline", self.events),
            ("GET", f"{issue}/comments", self.comments),
            ("POST", f"{issue}/comments", self.add_comment),
            ("GET", f"{repo}/issues/comments/{{id:int}}", self.comment),
            ("PATCH", f"{repo}/issues/comments/{{id:int}}", self.edit_comment),
            ("DELETE", f"{repo}/issues/comments/{{id:int}}", self.delete_comment),
            ("GET", f"{issue}/labels", self.labels),
            ("POST", f"{issue}/labels", self.add_labels),
            ("DELETE", f"{issue}/labels/{{name:path}}", self.remove_label),
            ("GET", f"{repo}/collaborators/{{login}}/permission", self.permission),
            ("GET", f"{repo}/deployments", self.deployments),
            ("POST", f"{repo}/deployments", self.deploy),
            ("GET", f"{repo}/deployments/{{id:int}}/statuses", self.statuses),
            ("POST", f"{repo}/deployments/{{id:int}}/statuses", self.add_status),
            ("GET", f"{repo}/environments", self.environments),
            ("GET", f"{repo}/git/ref/{{ref:path}}", self.ref),
            ("GET", f"{repo}/git/commits/{{sha}}", self.git_commit),
            ("GET", f"{repo}/git/trees/{{ref:path}}", self.tree),
            ("GET", f"{repo}/git/blobs/{{sha}}", self.blob),
            ("GET", f"{repo}/actions/runs", self.runs),
            ("GET", f"{repo}/actions/workflows/{{workflow:int}}/runs", self.runs),
            ("GET", f"{repo}/commits/{{ref}}/check-runs", self.check_runs),
        ]
        return [Route(path, endpoint, methods=[method]) for method, path, endpoint in table]

    # --- finding ---

    def _repo(self, request: Request) -> Repository:
        slug = f"{request.path_params['owner']}/{request.path_params['repo']}".lower()
        if slug in self.world.renamed and slug not in self.world.repositories:
            moved = f"{payloads.API}/repositories/{self.world.renamed[slug]}"
            raise Wrong(301, "Moved Permanently", url=moved)
        repo = self.world.repositories.get(slug)
        if repo is None or repo.hidden:
            raise Wrong(404)
        if repo.archived and request.method != "GET":
            raise Wrong(403, "Repository was archived so is read-only.")
        return repo

    def _pull(self, request: Request) -> tuple[Repository, PullRequest]:
        repo = self._repo(request)
        pull = repo.pull_requests.get(request.path_params["number"])
        if pull is None or pull.hidden:
            raise Wrong(404)
        return repo, pull

    def _permits(self, request: Request, repo: Repository, number: int) -> None:
        """Refuse a new or edited comment by someone who may not write in a locked conversation."""
        if not self.world.may_comment(repo.slug, number, request.state.user):
            raise Wrong(403, "Unable to create comment because issue is locked.")

    def _comment(self, request: Request) -> tuple[Repository, int, Comment]:
        repo = self._repo(request)
        for number, pull in repo.pull_requests.items():
            for comment in pull.comments:
                if comment.id == request.path_params["id"] and not pull.hidden:
                    return repo, number, comment
        raise Wrong(404)

    def _list(self, request: Request, items: Sequence[Json]) -> Response:
        """Return one page with its Link header.

        https://docs.github.com/en/rest/using-the-rest-api/using-pagination-in-the-rest-api
        """
        if self.world.faults.fires("empty-list", request.url.path):
            items = []
        per_page = min(int(request.query_params.get("per_page", 30)), 100)
        page = int(request.query_params.get("page", 1))
        last = max(1, -(-len(items) // per_page))
        shown = list(items[(page - 1) * per_page : page * per_page])
        if shown and self.world.faults.fires("truncated", request.url.path):
            shown = shown[:-1]
        links = {"next": page + 1, "last": last} if page < last else {}
        links |= {"prev": page - 1, "first": 1} if page > 1 else {}
        here = f"{payloads.API}{request.url.path}"
        link = ", ".join(
            f'<{here}?{request.url.include_query_params(page=n).query}>; rel="{r}"' for r, n in links.items()
        )
        return conditional(request, shown, {"link": link} if link else {})

    # --- reading ---

    async def me(self, request: Request) -> Response:
        """Answer GET /user."""
        who = request.state.user
        counts = dict.fromkeys(("public_repos", "public_gists", "followers", "following"), 0)
        texts = dict.fromkeys(("name", "company", "blog", "location", "email", "hireable", "bio"))
        times = {"created_at": payloads.when(self.world.now()), "updated_at": payloads.when(self.world.now())}
        return conditional(request, {**payloads.user(who), "user_view_type": "public", **counts, **texts, **times})

    async def rate_limit(self, request: Request) -> Response:
        """Answer GET /rate_limit."""
        rate = {"limit": 5000, "used": 0, "remaining": 5000, "reset": int(self.world.now().timestamp()) + 3600}
        return JSONResponse({"resources": {"core": rate, "search": rate, "graphql": rate}, "rate": rate})

    async def repository(self, request: Request) -> Response:
        """Answer GET with a repository."""
        return conditional(request, payloads.repository(self._repo(request)))

    async def pulls(self, request: Request) -> Response:
        """Answer GET with the pull requests in a state, newest first."""
        repo, state = self._repo(request), request.query_params.get("state", "open")
        found = [p for p in reversed(repo.pull_requests.values()) if state in ("all", p.state) and not p.hidden]
        return self._list(request, [payloads.pull_request(repo, p) for p in found])

    async def pull(self, request: Request) -> Response:
        """Answer GET with one pull request."""
        return conditional(request, payloads.pull_request(*self._pull(request), whole=True))

    async def files(self, request: Request) -> Response:
        """Answer GET with the files that a pull request changes, 3,000 at most.

        https://docs.github.com/en/rest/pulls/pulls#list-pull-requests-files
        """
        repo, pull = self._pull(request)
        return self._list(request, [payloads.file(repo, pull, path) for path in pull.changed[:3000]])

    async def issue(self, request: Request) -> Response:
        """Answer GET with a pull request as an issue."""
        return conditional(request, payloads.issue(*self._pull(request)))

    async def events(self, request: Request) -> Response:
        """Answer GET with the events of a pull request, oldest first."""
        repo, pull = self._pull(request)
        items: list[Item] = [i for i in pull.timeline if i.type in payloads.EVENTS]
        return self._list(request, [payloads.event(repo, i) for i in items])

    async def comments(self, request: Request) -> Response:
        """Answer GET with the comments of a pull request, oldest first."""
        repo, pull = self._pull(request)
        return self._list(request, [payloads.comment(repo, pull.number, c) for c in pull.comments])

    async def comment(self, request: Request) -> Response:
        """Answer GET with one comment."""
        return conditional(request, payloads.comment(*self._comment(request)))

    async def labels(self, request: Request) -> Response:
        """Answer GET with the labels of a pull request."""
        repo, pull = self._pull(request)
        return self._list(request, [payloads.label(repo, name) for name in pull.labels])

    async def permission(self, request: Request) -> Response:
        """Answer GET with a user's permission. The old field shows triage as read and maintain as write."""
        repo, login = self._repo(request), request.path_params["login"]
        if login not in self.world.users:
            raise Wrong(404)
        role = repo.permissions.get(login, "none" if repo.private else "read")
        who = payloads.user(self.world.users[login])
        return conditional(
            request, {"permission": EFFECTIVE.get(role, role), "role_name": role, "user": {**who, "role_name": role}}
        )

    async def deployments(self, request: Request) -> Response:
        """Answer GET with deployments, newest first. Filters are sha, ref and environment."""
        repo = self._repo(request)
        found = list(reversed(repo.deployments.values()))
        for key in ("sha", "ref", "environment"):
            wanted = request.query_params.get(key)
            found = [d for d in found if wanted in (None, getattr(d, key))]
        return self._list(request, [payloads.deployment(repo, d) for d in found])

    async def statuses(self, request: Request) -> Response:
        """Answer GET with the statuses of a deployment, newest first."""
        repo, found = self._deployment(request)
        return self._list(request, [payloads.deployment_status(repo, found, s) for s in reversed(found.statuses)])

    async def environments(self, request: Request) -> Response:
        """Answer GET with environments."""
        repo = self._repo(request)
        names = {d.environment: d.id for d in repo.deployments.values()}
        found = [payloads.environment(repo, name, number) for name, number in names.items()]
        return conditional(request, {"total_count": len(found), "environments": found})

    async def ref(self, request: Request) -> Response:
        """Answer GET with a ref: heads/BRANCH, pull/N/head or pull/N/merge."""
        repo, ref = self._repo(request), request.path_params["ref"]
        for pull in repo.pull_requests.values():
            names = {f"pull/{pull.number}/head": pull.head_sha, f"heads/{pull.head_ref}": pull.head_sha}
            sha = {**names, f"pull/{pull.number}/merge": pull.merge_sha}.get(ref)
            if sha:
                target = {"type": "commit", "sha": sha, "url": f"{payloads.API}/repos/{repo.slug}/git/commits/{sha}"}
                url = f"{payloads.API}/repos/{repo.slug}/git/refs/{ref}"
                answer = {"ref": f"refs/{ref}", "node_id": payloads.node("Ref", pull.id), "url": url, "object": target}
                return conditional(request, answer)
        raise Wrong(404)

    async def runs(self, request: Request) -> Response:
        """Answer GET with workflow runs, newest first. `status` filters by status or conclusion, as on GitHub.

        https://docs.github.com/en/rest/actions/workflow-runs#list-workflow-runs-for-a-repository
        """
        repo, query = self._repo(request), request.query_params
        workflow = request.path_params.get("workflow")
        if workflow is not None and workflow not in repo.workflows.values():
            raise Wrong(404)
        found = [r for r in reversed(repo.runs.values()) if workflow in (None, r.workflow)]
        for key, name in (("head_sha", "sha"), ("branch", "branch"), ("event", "event")):
            found = [r for r in found if query.get(key) in (None, getattr(r, name))]
        found = [r for r in found if query.get("status") in (None, r.status, r.conclusion)]
        return self._counted(request, "workflow_runs", [ci_payloads.workflow_run(repo, r) for r in found])

    async def check_runs(self, request: Request) -> Response:
        """Answer GET with the checks of a commit, and with the jobs of its workflow runs, which are checks too."""
        repo, sha = self._repo(request), request.path_params["ref"]
        checks = [c for c in repo.checks.values() if c.sha == sha]
        jobs = [
            CheckRun(r.id, r.name, "github-actions", r.sha, r.status, r.conclusion, r.started_at, r.updated_at)
            for r in repo.runs.values()
            if r.sha == sha
        ]
        return self._counted(request, "check_runs", [ci_payloads.check_run(repo, c) for c in [*checks, *jobs]])

    async def git_commit(self, request: Request) -> Response:
        """Answer GET with a commit: the head of a pull request."""
        repo, sha = self._repo(request), request.path_params["sha"]
        heads = {
            i.data["sha"] for p in repo.pull_requests.values() for i in p.timeline if i.type == "PullRequestCommit"
        }
        if sha not in heads:
            raise Wrong(404)
        return conditional(request, ci_payloads.git_commit(repo, sha))

    async def tree(self, request: Request) -> Response:
        """Answer GET with all files of a commit or branch. Repositories whose files nobody set have none."""
        repo, ref = self._repo(request), request.path_params["ref"]
        files = repo.files.get(ref, repo.files.get("main", {}) if ref == "HEAD" else None)
        if files is None:
            raise Wrong(404)
        return conditional(request, payloads.tree(repo, ref, files))

    async def blob(self, request: Request) -> Response:
        """Answer GET with the content of a file, by its blob id, in base64 or in the raw media type.

        https://docs.github.com/en/rest/git/blobs#get-a-blob
        """
        repo, sha = self._repo(request), request.path_params["sha"]
        contents = (content for files in repo.files.values() for content in files.values())
        found = next((c for c in contents if payloads.blob_id(c) == sha), None)
        if found is None:
            raise Wrong(404)
        if "raw" not in request.headers.get("accept", ""):
            return conditional(request, payloads.blob(repo, found))
        return Response(found, media_type="application/vnd.github.raw+json; charset=utf-8")

    def _counted(self, request: Request, key: str, items: Sequence[Json]) -> Response:
        """Return one page of a list that comes with its count."""
        per_page, page = int(request.query_params.get("per_page", 30)), int(request.query_params.get("page", 1))
        shown = list(items[(page - 1) * per_page : page * per_page])
        if shown and self.world.faults.fires("truncated", request.url.path):
            shown = shown[:-1]
        return conditional(request, {"total_count": len(items), key: shown})

    # --- writing ---

    async def open(self, request: Request) -> Response:
        """Answer POST: open a pull request."""
        repo, body = self._repo(request), await _body(request, "head", "base")
        sha = hashlib.sha1(str(body["head"]).encode(), usedforsecurity=False).hexdigest()
        made = self.world.open_pull_request(
            repo.slug,
            head=body["head"],
            sha=sha,
            by=request.state.user.login,
            title=body.get("title", ""),
            draft=bool(body.get("draft")),
        )
        return JSONResponse(payloads.pull_request(repo, made, whole=True), 201)

    async def edit(self, request: Request) -> Response:
        """Answer PATCH: change the title or the state of a pull request."""
        repo, pull = self._pull(request)
        body, who = await _body(request), request.state.user.login
        self.world.retitle(repo.slug, pull.number, body.get("title", pull.title))
        if body.get("state") == "closed" and pull.state == "open":
            self.world.close(repo.slug, pull.number, who)
        elif body.get("state") == "open" and pull.state == "closed":
            self.world.reopen(repo.slug, pull.number, who)
        return JSONResponse(payloads.pull_request(repo, pull, whole=True))

    async def merge(self, request: Request) -> Response:
        """Answer PUT: merge a pull request."""
        repo, pull = self._pull(request)
        if pull.state != "open":
            raise Wrong(405, "Pull Request is not mergeable")
        self.world.close(repo.slug, pull.number, request.state.user.login, merge=True)
        return JSONResponse({"sha": pull.merge_sha, "merged": True, "message": "Pull Request successfully merged"})

    async def review(self, request: Request) -> Response:
        """Answer POST: add a review."""
        repo, pull = self._pull(request)
        body = await _body(request)
        item = self.world.review(repo.slug, pull.number, request.state.user.login)
        html = f"{payloads.WEB}/{repo.slug}/pull/{pull.number}#pullrequestreview-{item.id}"
        url = f"{payloads.API}/repos/{repo.slug}/pulls/{pull.number}"
        answer = {
            "id": item.id,
            "node_id": payloads.node("PullRequestReview", item.id),
            "user": payloads.user(item.actor),
            "body": body.get("body") or "",
            "state": "COMMENTED",
            "html_url": html,
            "pull_request_url": url,
            "_links": {"html": {"href": html}, "pull_request": {"href": url}},
            "submitted_at": payloads.when(item.data["submitted"]),
            "commit_id": pull.head_sha,
            "author_association": "CONTRIBUTOR",
        }
        return JSONResponse(answer)

    async def add_comment(self, request: Request) -> Response:
        """Answer POST: add a comment."""
        repo, pull = self._pull(request)
        body = await _body(request, "body")
        self._permits(request, repo, pull.number)
        _short_enough(body["body"])
        made = self.world.comment(repo.slug, pull.number, body["body"], request.state.user.login)
        return JSONResponse(payloads.comment(repo, pull.number, made), 201)

    async def edit_comment(self, request: Request) -> Response:
        """Answer PATCH: edit a comment."""
        repo, number, comment = self._comment(request)
        body = await _body(request, "body")
        self._permits(request, repo, number)
        _short_enough(body["body"])
        self.world.edit_comment(repo.slug, comment.id, body["body"], request.state.user.login)
        return JSONResponse(payloads.comment(repo, number, comment))

    async def delete_comment(self, request: Request) -> Response:
        """Answer DELETE: delete a comment."""
        repo, _, comment = self._comment(request)
        self.world.delete_comment(repo.slug, comment.id)
        return Response(status_code=204)

    async def add_labels(self, request: Request) -> Response:
        """Answer POST: add labels, given as a list or as an object with `labels`."""
        repo, pull = self._pull(request)
        body = await _body(request)
        names = body if isinstance(body, list) else body.get("labels", [])
        for name in names:
            self.world.label(
                repo.slug, pull.number, name if isinstance(name, str) else name["name"], request.state.user.login
            )
        return JSONResponse([payloads.label(repo, n) for n in pull.labels])

    async def remove_label(self, request: Request) -> Response:
        """Answer DELETE: remove a label from a pull request."""
        repo, pull = self._pull(request)
        if not self.world.unlabel(repo.slug, pull.number, request.path_params["name"], request.state.user.login):
            raise Wrong(404, "Label does not exist")
        return JSONResponse([payloads.label(repo, n) for n in pull.labels])

    async def deploy(self, request: Request) -> Response:
        """Answer POST: add a deployment. `required_contexts` must be empty: GitHub's default requires every status."""
        repo, body = self._repo(request), await _body(request, "ref")
        if body.get("required_contexts") != []:
            raise Wrong(409, "Conflict: Commit status checks failed for " + str(body["ref"]))
        made = Deployment(
            id=self.world.id(),
            sha=str(body["ref"]),
            ref=str(body["ref"]),
            environment=body.get("environment") or "production",
            creator=request.state.user,
            created_at=self.world.now(),
            transient=bool(body.get("transient_environment")),
            production=body.get("production_environment", body.get("environment", "production") == "production"),
            description=body.get("description"),
        )
        return JSONResponse(payloads.deployment(repo, self.world.deploy(repo.slug, made)), 201)

    async def add_status(self, request: Request) -> Response:
        """Answer POST: add a deployment status."""
        repo, found = self._deployment(request)
        body = await _body(request, "state")
        if body["state"] not in STATES or len(body.get("description") or "") > 140:
            raise Wrong(
                422, "Validation Failed", errors=[{"resource": "DeploymentStatus", "field": "state", "code": "invalid"}]
            )
        made = self.world.deployment_status(repo.slug, found.id, body, request.state.user)
        return JSONResponse(payloads.deployment_status(repo, found, made), 201)

    def _deployment(self, request: Request) -> tuple[Repository, Deployment]:
        repo = self._repo(request)
        found = repo.deployments.get(request.path_params["id"])
        if found is None:
            raise Wrong(404)
        return repo, found


def _short_enough(body: str) -> None:
    if len(body) > LONGEST:
        wrong = {"resource": "IssueComment", "code": "unprocessable", "field": "data"}
        message = f"Body is too long (maximum is {LONGEST} characters)"
        raise Wrong(422, "Validation Failed", errors=[{**wrong, "message": message}])


async def _body(request: Request, *needed: str) -> Any:
    try:
        body = json.loads(await request.body() or b"{}")
    except ValueError:
        raise Wrong(400, "Problems parsing JSON") from None
    missing = [n for n in needed if not isinstance(body, dict) or n not in body]
    if missing:
        errors = [{"resource": "Request", "field": n, "code": "missing_field"} for n in missing]
        raise Wrong(422, "Validation Failed", errors=errors)
    return body


def conditional(request: Request, answer: Any, headers: dict[str, str] | None = None) -> Response:
    """Return JSON with an ETag, or 304 when the client has it. As on GitHub, the ETag differs between users."""
    content = json.dumps(answer).encode()
    who: User = request.state.user
    etag = f'W/"{hashlib.sha256(content + who.login.encode()).hexdigest()}"'
    headers = {"etag": etag, "cache-control": "private, max-age=60", "vary": "Accept, Authorization", **(headers or {})}
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type="application/json; charset=utf-8", headers=headers)

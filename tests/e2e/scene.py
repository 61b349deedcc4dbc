"""What the stories are played on: a simulated GitHub, the cluster's registry, the cluster, and Greenroom in its own pod.

Everything is driven and looked at from outside: GitHub's state, pages through the ingress, `kubectl`, and the command
line in the pod. Nothing of the controller is imported.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import yaml

from greenroom.asgi_server import running
from greenroom.simulator.app import Simulator
from greenroom.simulator.webhooks import Webhooks
from greenroom.simulator.world import World

ROOT = Path(__file__).parents[2]
CLUSTER = ROOT / "deploy" / "cluster" / "cluster"
NODE = "198.19.255.1"
REGISTRY = f"{NODE}:5000"
DOMAIN = "preview.test.example"
HOME = "greenroom"  # the controller's namespace and release
ARGO = "argocd"
SHARED = "shared"  # the namespace of staging
BOT = "greenroom[bot]"
PLUGIN = "198.19.10.81"
OLDEST = os.environ.get("ARGOCD", "").startswith("3.2.")  # its projects cannot say which namespaces may be made
SERVICES = ("catalog", "payments", "storefront")
SECRETS = {"github-token": "e2e-token-of-the-bot", "webhook-secret": "e2e-webhook-secret", "signing-key": "e2e-key"}
T = TypeVar("T")


class NotSeen(AssertionError):
    """What had to be seen was not; the text says what was."""


def until(check: Callable[[], T], seconds: float, what: str = "") -> T:
    """What the check returns once it is true. Raises `NotSeen` with what it said last."""
    deadline, last = time.monotonic() + seconds, ""
    while True:
        try:
            if found := check():
                return found
            last = ""
        except (AssertionError, httpx2.HTTPError, KeyError, IndexError, ValueError) as error:
            last = f"{type(error).__name__}: {error}"
        if time.monotonic() > deadline:
            raise NotSeen(f"{what or 'it'} was not seen within {seconds:g} s. {last}")
        time.sleep(0.05)


def run(*command: str, given: str | None = None, check: bool = True, cwd: Path | None = None) -> str:
    """Run a command; its output. Raises with its words when it fails and `check` is set."""
    done = subprocess.run(command, input=given, text=True, capture_output=True, check=False, cwd=cwd)
    if check and done.returncode:
        raise NotSeen(f"{' '.join(command)[:200]} ended with {done.returncode}: {done.stderr.strip()[-600:]}")
    return done.stdout + ("" if check else done.stderr)


def kubectl(*arguments: str, given: str | None = None, check: bool = True) -> str:
    return run("kubectl", *arguments, given=given, check=check)


def objects(kind: str, namespace: str = "", selector: str = "") -> list[dict[str, Any]]:
    where = ["-n", namespace] if namespace else ["-A"]
    chosen = ["-l", selector] if selector else []
    found = json.loads(kubectl("get", kind, *where, *chosen, "-o", "json"))
    items: list[dict[str, Any]] = found["items"]
    return items


def thing(kind: str, name: str, namespace: str = "") -> dict[str, Any] | None:
    """One object, or None when Kubernetes says that there is none."""
    where = ["-n", namespace] if namespace else []
    done = subprocess.run(
        ["kubectl", "get", kind, name, *where, "-o", "json"], text=True, capture_output=True, check=False
    )
    if done.returncode and "NotFound" in done.stderr:
        return None
    if done.returncode:
        raise NotSeen(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def processes(pod_uid: str, words: str) -> list[int]:
    """The processes of a pod on this node whose command line holds these words."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            groups = (folder / "cgroup").read_text().replace("_", "-")
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if pod_uid in groups and words in command:
                found.append(int(folder.name))
    return found


class GitHub:
    """The simulated GitHub in a thread of its own."""

    def __init__(self, port: int = 0) -> None:
        self.world = World(datetime.now(UTC), running=True)  # its times stand beside Kubernetes'
        self.simulator = Simulator(self.world)
        self.hooks = Webhooks(self.world, SECRETS["webhook-secret"])
        self.url = ""
        self._port = port
        self.loop = asyncio.new_event_loop()
        self._stop: asyncio.Event = asyncio.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        ready: Future[str] = Future()
        self._ready = ready
        self._thread.start()
        self.url = ready.result(20)

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def do(self, action: Callable[[World], T]) -> T:
        """Something that happens on GitHub, in the simulator's own thread."""
        done: Future[T] = Future()

        def act() -> None:
            try:
                done.set_result(action(self.world))
            except BaseException as error:
                done.set_exception(error)

        self.loop.call_soon_threadsafe(act)
        return done.result(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_until_complete(self._serve())
        finally:
            self.loop.close()

    async def _serve(self) -> None:
        async with running(self.simulator, self._port, NODE) as url:
            sending = asyncio.create_task(self.hooks.run())
            self._ready.set_result(url)
            await self._stop.wait()
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)


@dataclass
class Repository:
    """One git repository of the shop, and what CI does with its commits."""

    name: str
    folder: Path
    scene: Scene

    @property
    def slug(self) -> str:
        return f"shop/{self.name}"

    def commit(self, branch: str, release: str, files: Mapping[str, str] | None = None) -> str:
        """A commit on a branch; `files` are further contents by path."""
        git = ["git", "-C", str(self.folder), "-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
        known = run(*git, "branch", "--list", branch).strip()
        run(*git, "checkout", "--quiet", *([branch] if known else ["-b", branch, "main"]))
        for path, text in {"release.txt": f"{release}\n", **(files or {})}.items():
            (self.folder / path).parent.mkdir(exist_ok=True)
            (self.folder / path).write_text(text)
        run(*git, "add", "--all")
        run(*git, "commit", "--quiet", "--allow-empty", "--message", f"Release {release}")
        sha = run(*git, "rev-parse", "HEAD").strip()
        shown, base = self._files(sha), self._files("main")
        self.scene.github.do(
            lambda w: w.repository(self.slug).files.update({sha: shown, w.repository(self.slug).main_sha: base})
        )
        run(*git, "checkout", "--quiet", "main")
        return sha

    def _files(self, sha: str) -> dict[str, bytes]:
        """The files of a commit, as GitHub shows them."""
        archive = subprocess.run(["git", "-C", str(self.folder), "archive", sha], capture_output=True, check=True)
        with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as found:
            files = ((entry.name, found.extractfile(entry)) for entry in found if entry.isfile())
            return {name: content.read() for name, content in files if content}

    def build(self, sha: str, tag: str = "", *, command: tuple[str, ...] = ("python", "server.py")) -> str:
        """What CI does: build the commit, push the image, end the workflow. Returns the image with its digest."""
        with tempfile.TemporaryDirectory() as tree:
            archive = subprocess.run(
                ["git", "-C", str(self.folder), "archive", sha], capture_output=True, check=True
            ).stdout
            subprocess.run(["tar", "-x", "-C", tree], input=archive, check=True)
            Path(tree).chmod(0o755)
            image = run(str(CLUSTER), "image", f"{self.slug}:{tag or sha}", "python:3", tree, *command)
        self.scene.github.do(lambda w: w.workflow_completed(self.slug))
        return image.strip().splitlines()[-1]

    def pull_request(
        self,
        branch: str,
        release: str,
        *,
        built: bool = True,
        labeled: bool = True,
        files: Mapping[str, str] | None = None,
    ) -> Pull:
        sha = self.commit(branch, release, files)
        if built:
            self.build(sha)
        opened = self.scene.github.do(lambda w: w.open_pull_request(self.slug, head=branch, sha=sha, by="ada"))
        found = Pull(self, opened.number, branch)
        self.scene.pulls.append(found)
        if labeled:
            found.label()
        return found


def _kept(kind: str, found: dict[str, Any]) -> str:
    """One line about an object that should be gone."""
    metadata, status = found["metadata"], found.get("status", {})
    deleted, finalizers = metadata.get("deletionTimestamp", "not deleted"), metadata.get("finalizers", [])
    phase = status.get("phase") or status.get("operationState", {}).get("phase")
    conditions = [f"{c['type']}={c.get('status', '')}: {c.get('message', '')}" for c in status.get("conditions", ())]
    return f"\n{kind}: deletionTimestamp {deleted}, finalizers {finalizers}, phase {phase}, conditions {conditions}"


@dataclass
class Pull:
    """A pull request, as its people see it."""

    repository: Repository
    number: int
    branch: str

    @property
    def scene(self) -> Scene:
        return self.repository.scene

    @property
    def name(self) -> str:
        return f"{self.repository.name}#{self.number}"

    @property
    def namespace(self) -> str:
        return f"preview-{self.repository.name}-{self.number}"

    # --- what people do ---

    def label(self, name: str = "preview", by: str = "ada") -> None:
        self.scene.github.do(lambda w: w.label(self.repository.slug, self.number, name, by))

    def unlabel(self, name: str = "preview", by: str = "ada") -> None:
        self._later(lambda w: w.unlabel(self.repository.slug, self.number, name, by))

    def say(self, text: str, by: str = "ada") -> None:
        self.scene.github.do(lambda w: w.comment(self.repository.slug, self.number, text, by))

    def reopen(self) -> None:
        self.scene.github.do(lambda w: w.reopen(self.repository.slug, self.number, "ada"))

    def close(self, *, merge: bool = False) -> None:
        self._later(lambda w: w.close(self.repository.slug, self.number, "ada", merge=merge))

    def _later(self, act: Callable[[World], T]) -> T:
        """Do this in a later second than all before, as people do: Greenroom holds what a script does within one."""

        def in_another_second(world: World) -> T:
            if world.pull_request(self.repository.slug, self.number).updated_at >= world.now():
                world.advance(timedelta(seconds=1))
            return act(world)

        return self.scene.github.do(in_another_second)

    def push(self, release: str, *, built: bool = True, files: Mapping[str, str] | None = None) -> str:
        """A push of a new commit; its images are there before GitHub knows of it, if `built`."""
        sha = self.repository.commit(self.branch, release, files)
        if built:
            self.repository.build(sha)
        self.scene.github.do(lambda w: w.push(self.repository.slug, self.number, sha, "ada"))
        return sha

    # --- what is seen ---

    @property
    def comments(self) -> list[str]:
        def ours(world: World) -> list[str]:
            pull = world.pull_request(self.repository.slug, self.number)
            return [c.body for c in pull.comments if c.author.login == BOT]

        return self.scene.github.do(ours)

    @property
    def comment(self) -> str:
        """The one comment as people see it."""
        comments = self.comments
        assert len(comments) == 1, f"{self.name} has {len(comments)} comments"
        shown = re.sub(r"\A<!--.*?-->\n", "", comments[0])
        return shown.replace("\u200b", "").replace("\\", "")

    def says(self, words: str, seconds: float = 30.0) -> str:
        """The comment, once these words are in it."""

        def check() -> str:
            comment = self.comment
            assert words in comment, comment
            return comment

        return until(check, seconds, f"{words!r} in the comment of {self.name}")

    def page(self, path: str = "/products", service: str = "") -> httpx2.Response:
        """A page of the preview through the ingress, as a browser asks for it."""
        host = f"{service or self.repository.name}-pr-{self.number}.{DOMAIN}"
        return self.scene.client.get(f"http://{NODE}{path}", headers={"host": host})

    def post(self, path: str, sent: object) -> None:
        host = f"{self.repository.name}-pr-{self.number}.{DOMAIN}"
        self.scene.client.post(f"http://{NODE}{path}", headers={"host": host}, json=sent).raise_for_status()

    def answers(self, release: str, seconds: float = 60.0) -> dict[str, Any]:
        """What the service says of itself, once this release answers through the ingress."""
        path = "/products" if self.repository.name == "catalog" else "/"

        def check() -> dict[str, Any]:
            answer = self.page(path)
            assert answer.status_code == 200, f"{answer.status_code}; {self.comments}"
            if self.repository.name == "storefront":
                assert f"release {release}<" in answer.text, answer.text
                return {"page": answer.text}
            found: dict[str, Any] = answer.json()
            assert found.get("release") == release, found.get("release")
            return found

        return until(check, seconds, f"release {release} of {self.name}")

    def ready(self, release: str, seconds: float = 180.0) -> dict[str, Any]:
        found = self.answers(release, seconds)
        self.says("Preview ready", 30)
        return found

    @property
    def application(self) -> dict[str, Any] | None:
        return thing("application", self.namespace, ARGO)

    @property
    def uid(self) -> str:
        """The uid of its Application, or nothing when there is none or it is on its way out."""
        found = self.application
        return str(found["metadata"]["uid"]) if found and not found["metadata"].get("deletionTimestamp") else ""

    def exists(self) -> bool:
        return thing("namespace", self.namespace) is not None

    def gone(self, seconds: float = 60.0) -> None:
        """Nothing of it is in the cluster any more."""

        def check() -> bool:
            left = self.left()
            assert not left, f"{left}\ncomments: {self.comments}"
            return True

        until(check, seconds, f"the end of {self.namespace}")

    def left(self) -> str:
        """What of it is still in the cluster, a line for each object, with what may keep it there."""
        found = {"Application": self.application, "namespace": thing("namespace", self.namespace)}
        return "".join(_kept(kind, it) for kind, it in found.items() if it)

    def pods(self, selector: str = "") -> list[dict[str, Any]]:
        return [p for p in objects("pods", self.namespace, selector) if not p["metadata"].get("deletionTimestamp")]


@dataclass
class Scene:
    """Everything together, for all stories of one run."""

    folder: Path
    github: GitHub
    client: httpx2.Client
    image: str
    preview_chart: Path = ROOT / "charts" / "preview"
    repositories: dict[str, Repository] = field(default_factory=dict)
    pulls: list[Pull] = field(default_factory=list)
    configuration: dict[str, Any] = field(default_factory=dict)
    services: dict[str, dict[str, Any]] = field(default_factory=dict)
    whole: dict[str, Any] = field(default_factory=dict)
    """The catalog with its cache and queue as well as its database."""
    manifests: dict[str, str] = field(default_factory=dict)
    """Manifests of the team's own, by name."""

    def __getattr__(self, name: str) -> Repository:
        try:
            return self.__dict__["repositories"][name]  # type: ignore[no-any-return]
        except KeyError:
            raise AttributeError(name) from None

    @property
    def chart(self) -> Path:
        """The chart of the controller."""
        return ROOT / "charts" / "greenroom"

    # --- the parts ---

    def make_repositories(self) -> None:
        for name in SERVICES:
            target = self.folder / "git" / name
            shutil.copytree(ROOT / "examples" / "shop" / name, target, ignore=shutil.ignore_patterns("__pycache__"))
            git = ["git", "-C", str(target), "-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
            run(*git, "init", "--quiet", "--initial-branch", "main")
            run(*git, "add", "--all")
            run(*git, "commit", "--quiet", "--message", "The shop")
            self.repositories[name] = Repository(name, target, self)

    def make_chart(self, version: str) -> None:
        """The preview chart in a git repository, with this tag."""
        target = self.folder / "charts"
        git = ["git", "-C", str(target), "-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
        if not target.exists():
            shutil.copytree(self.preview_chart, target / "charts" / "preview")
            run("git", "init", "--quiet", "--initial-branch", "main", str(target))
        run(*git, "add", "--all")
        run(*git, "commit", "--quiet", "--allow-empty", "--message", version)
        run(*git, "tag", version)

    def make_configuration(self, seed: str) -> None:
        for path in sorted((ROOT / "examples" / "shop" / "platform" / "services").glob("*.yaml")):
            service = yaml.safe_load(path.read_text().replace("registry.example.com", REGISTRY))
            service["env"] = {"HOST": "0.0.0.0"}
            for need in service.get("needs", ()):
                if need.pop("seed", ""):
                    need["image"] = seed
            self.services[path.stem] = service
        # RabbitMQ takes ten seconds of a CPU to start: only the stories that ask for it have it.
        self.whole = self.services["catalog"]
        self.services["catalog"] = {**self.whole, "needs": self.whole["needs"][:1]}
        self.configuration = {
            "installation": "e2e",
            "domain": DOMAIN,
            "scheme": "http",
            "engine": "argocd",
            "resync": "5s",
            "staging": {n: f"http://{n}.{SHARED}:8080" for n in ("catalog", "payments")},
            "github": {"apiUrl": f"{self.github.url}/api/v3"},
            "registry": {"insecure": [REGISTRY]},
            "limits": {"perAuthor": 50},
            "argocd": {"chart": f"file://{self.folder}/charts//charts/preview", "chartVersion": "v1"},
            "images": {
                "postgresql": f"{REGISTRY}/postgres",
                **{kind: f"{REGISTRY}/{kind}" for kind in ("redis", "mariadb", "rabbitmq")},
            },
            "ingress": {"probe": f"http://{NODE}"},
        }

    def people(self) -> None:
        def make(world: World) -> None:
            world.token(SECRETS["github-token"], BOT)
            for name in SERVICES:
                world.repository(f"shop/{name}")
                for person in ("ada", "grace", "linus"):
                    world.collaborator(f"shop/{name}", person, "write")

        self.github.do(make)

    # --- Greenroom itself ---

    def values(self) -> dict[str, Any]:
        repository, _, digest = self.image.partition("@")
        return {
            "image": {"repository": repository, "digest": digest},
            "configuration": {
                "greenroom": self.configuration,
                "services": self.services,
                "needs": self.manifests,
            },
            "secrets": {"existingSecret": "greenroom-e2e"},
            "argocd": {"namespaceNames": not OLDEST},
            # Argo CD runs beside the cluster's pods here, where Services have no names.
            "plugin": {"token": "e2e-plugin-token", "clusterIP": PLUGIN, "baseUrl": f"http://{PLUGIN}:8081"},
        }

    def install(self) -> None:
        """`helm upgrade --install`, as a platform engineer would; waits until it is Ready."""
        kubectl(
            "apply", "-f", "-", given=json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": HOME}})
        )
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "greenroom-e2e", "namespace": HOME}}
        kubectl("apply", "-f", "-", given=json.dumps({**secret, "stringData": SECRETS}))
        self.upgrade()
        self.redeployed()
        self.find_webhook()

    def upgrade(self) -> None:
        """Write the configuration; a running controller takes it over by itself."""
        values = self.folder / "values.yaml"
        values.write_text(json.dumps(self.values()))
        run("helm", "upgrade", "--install", HOME, str(self.chart), "-n", HOME, "-f", str(values))

    def redeployed(self) -> None:
        try:
            kubectl("rollout", "status", "-n", HOME, "deploy/greenroom", "--timeout=90s")
        except NotSeen as error:
            raise NotSeen(f"{error}\n{self.log()}") from None

    def find_webhook(self) -> None:
        service = next(s for s in objects("service", HOME) if s["metadata"]["name"].endswith("webhook"))
        url = f"http://{service['spec']['clusterIP']}:{service['spec']['ports'][0]['port']}/webhook"
        self.github.hooks.send_to(url)

    @contextlib.contextmanager
    def configured(self, **changes: Any) -> Iterator[None]:
        """The configuration with these top-level changes, and back afterwards."""
        before = dict(self.configuration)
        self.configuration.update(changes)
        self.upgrade()
        try:
            yield
        finally:
            self.configuration = before
            self.upgrade()

    @contextlib.contextmanager
    def serving(self, manifests: dict[str, str] | None = None, **services: Any) -> Iterator[None]:
        """These services and manifests as they are given here, once the controller knows, and back afterwards."""
        before = (self.services, self.manifests)
        try:
            self._serve({**self.services, **services}, {**self.manifests, **(manifests or {})})
            yield
        finally:
            self._serve(*before)

    def _serve(self, services: dict[str, dict[str, Any]], manifests: dict[str, str]) -> None:
        """Have the controller know these; what starts before it does is another preview."""
        pod = self.controller()["metadata"]["name"]
        since = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

        def known() -> bool:  # another set of files makes another pod
            if self.controller()["metadata"]["name"] != pod:
                return True
            log = kubectl("logs", "-n", HOME, "deploy/greenroom", f"--since-time={since}")
            return "the configuration was reloaded" in log

        self.services, self.manifests = services, manifests
        self.upgrade()
        until(known, 60, "the new configuration")
        self.redeployed()

    def controller(self) -> dict[str, Any]:
        """The controller's pod that is not on its way out."""
        pods = objects("pods", HOME, "app.kubernetes.io/name=greenroom")
        [found] = [p for p in pods if not p["metadata"].get("deletionTimestamp")]
        return found

    def greenroom(self, *arguments: str, check: bool = True) -> str:
        """`kubectl exec deploy/greenroom -- greenroom ...`"""
        return kubectl("exec", "-n", HOME, "deploy/greenroom", "--", "greenroom", *arguments, check=check)

    def explained(self, pull: Pull) -> str:
        return self.greenroom("explain", pull.name)

    def explains(self, pull: Pull, words: str, seconds: float = 30.0) -> str:
        def check() -> str:
            text = " ".join(self.explained(pull).split())
            assert words in text, text
            return text

        return until(check, seconds, f"{words!r} in the explanation of {pull.name}")

    def troubled(self, words: str, seconds: float = 30.0) -> None:
        """The list of previews says what cannot be read."""

        def check() -> bool:
            text = " ".join(self.greenroom("list").split())
            assert words in text, text
            return True

        until(check, seconds, f"{words!r} in the list")

    def kill(self) -> None:
        """kill -9 of the controller's process on the node; then its pod, so its history and all its memory are gone."""
        pod = self.controller()["metadata"]
        killed = processes(pod["uid"], "greenroom serve")
        assert killed, "the controller's process was not found"
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        kubectl("delete", "pod", "-n", HOME, pod["name"], "--grace-period=0", "--force")

    def scale(self, replicas: int) -> None:
        kubectl("scale", "-n", HOME, "deploy/greenroom", f"--replicas={replicas}")

    def up(self, seconds: float = 60.0) -> None:
        def ready() -> bool:
            conditions = self.controller()["status"].get("conditions", ())
            return any((c["type"], c["status"]) == ("Ready", "True") for c in conditions)

        until(ready, seconds, "a Ready controller")

    def log(self) -> str:
        return kubectl("logs", "-n", HOME, "deploy/greenroom", "--tail=60", check=False)

    def uninstall(self) -> None:
        """Everything of this run, or of one that was killed, out of the cluster, whatever state it is in."""
        ours = ("-l", "greenroom.dev/installation=e2e", "--timeout=90s")
        kubectl("scale", "-n", HOME, "deploy/greenroom", "--replicas=0", check=False)
        # The AppProject goes with the release: an Application that outlives it cannot be removed by Argo CD.
        kubectl("delete", "applicationset,application", "-n", ARGO, *ours, check=False)
        kubectl("delete", "namespace", *ours, check=False)
        run("helm", "uninstall", HOME, "-n", HOME, "--wait", check=False)
        kubectl("delete", "previews,previewconfigs", "-n", ARGO, *ours, check=False)
        kubectl("delete", "namespace", HOME, "--ignore-not-found", "--timeout=90s")

    # --- between stories ---

    def clean(self) -> None:
        """Close what the story left open, wait until it is gone, and let an hour pass: the breaker forgets."""
        self.github.do(lambda w: w.faults.off())
        open_ones = [p for p in self.pulls if self._open(p)]
        for pull in open_ones:
            pull.close()
        for pull in open_ones:
            pull.gone(90)
        self.pulls.clear()
        self.github.do(lambda w: w.advance(timedelta(hours=1, minutes=1)))

    def _open(self, pull: Pull) -> bool:
        return self.github.do(lambda w: w.pull_request(pull.repository.slug, pull.number).state == "open")


@contextlib.contextmanager
def played(folder: Path, image: str, preview_chart: Path = ROOT / "charts" / "preview") -> Iterator[Scene]:
    """The scene, set and installed where nothing is left of an earlier one; at the end nothing of it is left."""
    github = GitHub()
    github.start()
    try:
        with httpx2.Client(timeout=5, trust_env=False) as client:
            scene = Scene(folder, github, client, image, preview_chart)
            scene.make_repositories()
            scene.make_chart("v1")
            seed = run(str(CLUSTER), "seed", "catalog-seed", str(ROOT / "examples/shop/catalog/seed/catalog.sql"))
            scene.make_configuration(seed.strip().splitlines()[-1])
            scene.people()
            scene.uninstall()
            try:
                scene.install()
                yield scene
            finally:
                scene.uninstall()
    finally:
        github.stop()


def environment() -> None:
    """The cluster's programs and its administrator, for `kubectl` and `helm`."""
    cache = os.environ.get("GREENROOM_CLUSTER_CACHE", "/var/cache/greenroom-cluster")
    os.environ["PATH"] = f"{cache}/bin:{os.environ['PATH']}"

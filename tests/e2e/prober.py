"""A prober that believes nobody: it reads the release from every answer, and compares it with what Greenroom claims.

While `greenroom wait` or the condition Ready of the Preview object says that a commit is the one that serves, no answer
of another commit may be seen. The release is a file in the image, so a header or a label cannot pretend it.
"""

from __future__ import annotations

import codecs
import contextlib
import json
import os
import random
import signal
import subprocess
import threading
import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from e2e.scene import ARGO, Pull, kubectl, processes, until
from e2e.traffic import Answer, Traffic

WAIT, READY = "wait", "Ready"
ACCIDENTS = ("killed", "deleted", "evicted")
KINDS = ("plain", "plain", *ACCIDENTS, *ACCIDENTS, "moved tag", "moved tag", "twice", "back", "broken")


@dataclass(frozen=True, slots=True)
class Claim:
    """From `begun` to `ended` by the monotonic clock, something said that this release is the one that serves."""

    by: str
    release: str
    begun: float
    ended: float


@dataclass(frozen=True, slots=True)
class Violation:
    """An answer of another release, begun and ended while a claim held."""

    claim: Claim
    answer: Answer

    def __str__(self) -> str:
        late = self.answer.begun - self.claim.begun
        return f"{self.claim.by} said {self.claim.release}; {late:.2f} s later {self.answer.release} answered"


@dataclass(frozen=True, slots=True)
class Judgment:
    """The violations, and how many answers were judged under each kind of claim: none judged proves nothing."""

    violations: tuple[Violation, ...]
    judged: Counter[str]


def judged(answers: Sequence[Answer], claims: Sequence[Claim]) -> Judgment:
    """Compare each answer with the claims that held for its whole duration. Failures say nothing about a commit."""
    found: list[Violation] = []
    counts: Counter[str] = Counter()
    for by in {c.by for c in claims}:
        own = sorted((c for c in claims if c.by == by), key=lambda c: c.begun)
        starts = [c.begun for c in own]
        for answer in answers:
            place = bisect_right(starts, answer.begun) - 1
            if place < 0 or not answer.release or answer.ended >= own[place].ended:
                continue
            counts[by] += 1
            if answer.release != own[place].release:
                found.append(Violation(own[place], answer))
    return Judgment(tuple(found), counts)


class ReadyWatch:
    """Claims of a Preview object: Ready is true, about its newest spec, and names the wanted commit."""

    def __init__(self, pull: Pull, releases: dict[str, str]) -> None:
        self._name = f"{pull.repository.name}-{pull.number}"
        self._releases = releases
        self._claims: list[Claim] = []
        self._now: tuple[str, float] = ("", 0.0)
        self._over = threading.Event()
        self._kubectl: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> ReadyWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._kubectl:
            self._kubectl.terminate()
        self._thread.join(10)
        self._say("")

    @property
    def claims(self) -> list[Claim]:
        """What was claimed, once the context has ended."""
        return self._claims

    def _follow(self) -> None:
        while not self._over.is_set():
            command = ["kubectl", "get", "preview", "-n", ARGO, self._name, "-w", "-o", "json"]
            with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as watch:
                self._kubectl = watch
                assert watch.stdout is not None
                self._read(watch.stdout.fileno())
                watch.terminate()
            self._say("")  # what it says while nobody watches is not known
            self._over.wait(0.2)

    def _read(self, stream: int) -> None:
        decoder, characters, text = json.JSONDecoder(), codecs.getincrementaldecoder("utf-8")(), ""
        while chunk := os.read(stream, 1 << 20):
            text = (text + characters.decode(chunk)).lstrip()
            while text:
                try:
                    found, end = decoder.raw_decode(text)
                except ValueError:
                    break
                self._say(self._releases.get(_claimed(found), ""))
                text = text[end:].lstrip()

    def _say(self, release: str) -> None:
        now, (before, since) = time.monotonic(), self._now
        if release != before:
            if before:
                self._claims.append(Claim(READY, before, since, now))
            self._now = (release, now)


def _claimed(found: dict[str, Any]) -> str:
    """Return the commit that an object says is the one that serves; empty if it says so of none."""
    status = found.get("status") or {}
    ready = [c for c in status.get("conditions") or () if c["type"] == "Ready" and c["status"] == "True"]
    current = all(c.get("observedGeneration") == found["metadata"].get("generation") for c in ready)
    return str(status["commit"]["wanted"]) if ready and current else ""


class PodWatch:
    """What the API server says of the preview's service pods, with the times at which it was heard, for a violation."""

    COLUMNS = (
        "NAME:.metadata.name,DELETED:.metadata.deletionTimestamp,PHASE:.status.phase,"
        "READY:.status.containerStatuses[*].ready,STATE:.status.containerStatuses[*].state,"
        "VERSION:.metadata.annotations.greenroom\\.dev/sha"
    )

    def __init__(self, namespace: str) -> None:
        where = ["-n", namespace, "-l", "greenroom.dev/role=service", "--no-headers"]
        self._command = ["kubectl", "get", "pods", *where, "-w", "-o", f"custom-columns={self.COLUMNS}"]
        self._lines: list[tuple[float, str]] = []
        self._kubectl: subprocess.Popen[str] | None = None
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> PodWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._kubectl:
            self._kubectl.terminate()
        self._thread.join(10)

    def around(self, moment: float, seconds: float = 6.0) -> list[str]:
        """What was heard at most so many seconds before or after a moment, each with its distance."""
        near = ((at - moment, line) for at, line in self._lines if abs(at - moment) < seconds)
        return [f"{distance:+.2f} s {line}" for distance, line in near]

    def _follow(self) -> None:
        with subprocess.Popen(self._command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as watch:
            self._kubectl = watch
            assert watch.stdout is not None
            for line in watch.stdout:
                self._lines.append((time.monotonic(), " ".join(line.split())))


@dataclass
class Prober:
    """Pushes to one pull request of payments, each with something that goes wrong meanwhile."""

    pull: Pull
    chance: random.Random
    claims: list[Claim] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    releases: dict[str, str] = field(default_factory=dict)
    """The release that the image of each commit holds."""
    _moved: set[str] = field(default_factory=set)
    shas: list[str] = field(default_factory=list)
    """Commits that served, in order."""
    waits: list[float] = field(default_factory=list)
    """Seconds from the push until `greenroom wait` ended."""
    answers: list[Answer] = field(default_factory=list)
    log: list[tuple[float, str, str]] = field(default_factory=list)
    """Pushes and accidents, with their times."""
    _open: Claim | None = None
    _pushed_at: float = 0.0

    def begin(self, sha: str, release: str) -> None:
        """Take over the commit that serves now."""
        self.releases[sha] = release
        self.shas.append(sha)

    def run(self, pushes: int) -> Judgment:
        """Push so often under load, and judge every answer."""
        with (
            Traffic(self.pull) as traffic,
            ReadyWatch(self.pull, self.releases) as watch,
            PodWatch(self.pull.namespace) as pods,
        ):
            for number in range(pushes):
                self.push(number, self.chance.choice(KINDS))
                print(".", end="", flush=True)
            self._close()
        self.answers = traffic.answers
        found = judged(traffic.answers, [*self.claims, *watch.claims])
        for violation in found.violations[:1]:
            self._explain(violation, pods)
        return found

    def _explain(self, violation: Violation, pods: PodWatch) -> None:
        """Print what is known about a violation: the claim, the pushes before it, and the pods around it."""
        claim, begun = violation.claim, violation.answer.begun
        print(f"\n{violation}; the claim lasted {claim.ended - claim.begun:.2f} s", flush=True)
        for at, kind, release in self.log:
            if -60 < at - begun < 10:
                print(f"  {at - begun:+.2f} s {kind} {release}")
        print("\n".join(f"  {line}" for line in pods.around(begun)), flush=True)

    def push(self, number: int, kind: str) -> None:
        """One push, with what goes wrong; then wait for it, and look on for a while."""
        self.kinds[kind] += 1
        # Going back to a commit whose tag has moved deploys the other image, as any push looks its tags up.
        earlier = [s for s in self.shas[:-1] if s not in self._moved]
        sha = earlier[-1] if kind == "back" and earlier else self._built(f"r{number}", kind)
        self._pushed(sha)
        if kind == "broken":
            time.sleep(self.chance.uniform(2, 5))  # it never answers; the next push is the way on
            return
        if kind == "twice":
            time.sleep(self.chance.uniform(0, 2))
            sha = self._built(f"r{number}-again", kind)
            self._pushed(sha)
        time.sleep(self.chance.uniform(0, 1.5))
        self._accident(kind, sha)
        self.pull.scene.greenroom("wait", self.pull.name, "--commit", sha, "--timeout", "120s")
        self._open = Claim(WAIT, self.releases[sha], time.monotonic(), 0.0)
        self.waits.append(time.monotonic() - self._pushed_at)
        self.shas.append(sha)
        time.sleep(self.chance.uniform(0.5, 2))
        if self.chance.random() < 0.3:
            self._accident(self.chance.choice(ACCIDENTS), sha)  # the same commit comes back
            time.sleep(self.chance.uniform(0.5, 2))

    def _built(self, release: str, kind: str) -> str:
        sha = self.pull.repository.commit(self.pull.branch, release)
        command = ("python", "-c", "raise SystemExit(1)") if kind == "broken" else ("python", "server.py")
        self.pull.repository.build(sha, command=command)
        self.releases[sha] = release
        return sha

    def _pushed(self, sha: str) -> None:
        """Push a commit. From here on, the last claim of `wait` is about the past."""
        self._close()
        self.log.append((time.monotonic(), "push", self.releases[sha]))
        pull, self._pushed_at = self.pull, time.monotonic()
        pull.scene.github.do(lambda w: w.push(pull.repository.slug, pull.number, sha, "ada"))

    def _close(self) -> None:
        if self._open:
            claim = self._open
            self.claims.append(Claim(claim.by, claim.release, claim.begun, time.monotonic()))
        self._open = None

    def _taken(self, sha: str) -> bool:
        """Return whether the image of a commit is decided: its digest is in the Application.

        Until then, the tag is free to move. The Preview object is written first, so a write that fails after it leads
        to another look at the tag.
        """
        found = self.pull.application
        return found is not None and sha in json.dumps(found["spec"])

    def _accident(self, kind: str, sha: str) -> None:
        self.log.append((time.monotonic(), kind, self.releases[sha]))
        if kind == "moved tag":
            until(lambda: self._taken(sha), 60, f"the image of {sha[:7]} in the Application")
            other = self.pull.repository.commit("moved", f"{self.releases[sha]}-moved")
            self.pull.repository.build(other, sha)  # the tag of the commit, with other content
            self._moved.add(sha)
        if kind not in ACCIDENTS:
            return
        pods = self.pull.pods("greenroom.dev/role=service")
        if not pods:
            return
        pod = self.chance.choice(pods)["metadata"]
        match kind:
            case "killed":
                for pid in processes(pod["uid"], "server.py"):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            case "deleted":
                kubectl("delete", "pod", "-n", self.pull.namespace, pod["name"], "--wait=false", check=False)
            case "evicted":
                evict(self.pull.namespace, pod["name"])


def evict(namespace: str, name: str) -> None:
    """Evict a pod, as a drained node does. It may have ended by itself."""
    metadata = {"name": name, "namespace": namespace}
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata}
    path = f"/api/v1/namespaces/{namespace}/pods/{name}/eviction"
    kubectl("create", "--raw", path, "-f", "-", given=json.dumps(eviction), check=False)


def probed(pull: Pull, pushes: int, seed: int) -> tuple[Prober, Judgment]:
    """Probe a pull request that serves its release 0."""
    prober = Prober(pull, random.Random(seed))
    sha = pull.scene.github.do(lambda w: w.pull_request(pull.repository.slug, pull.number).head_sha)
    until(lambda: pull.page("/").status_code == 200, 60, "a page")
    prober.begin(sha, "0")
    return prober, prober.run(pushes)

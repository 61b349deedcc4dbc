"""A push under load: no request fails, and no answer contradicts what Greenroom says."""

from __future__ import annotations

import json
import time

from e2e.prober import READY, WAIT, evict, probed
from e2e.scene import HOME, Pull, Scene, kubectl, until
from e2e.traffic import Traffic, counted


def test_push_fails_no_request_and_only_the_new_commit_answers_in_the_end(scene: Scene) -> None:
    pull = scene.payments.pull_request("rollout", "2")
    pull.ready("2")
    sha = scene.payments.commit("rollout", "3")
    scene.payments.build(sha)
    with Traffic(pull) as traffic:
        until(lambda: len(traffic.answers) > 50, 30, "traffic")
        scene.github.do(lambda w: w.push("shop/payments", pull.number, sha, "ada"))
        scene.greenroom("wait", pull.name, "--commit", sha, "--timeout", "90s")
        served = time.monotonic()
        until(lambda: sum(a.begun > served for a in list(traffic.answers)) > 100, 30, "traffic afterwards")
    assert not traffic.failures, counted(traffic.answers)
    assert {a.release for a in traffic.answers} == {"2", "3"}
    assert {a.release for a in traffic.answers if a.begun > served} == {"3"}


def test_eviction_of_the_old_version_during_a_push_leaves_the_new_one(scene: Scene) -> None:
    pull = scene.payments.pull_request("evicted-push", "2")
    pull.ready("2")
    [old] = pull.pods("greenroom.dev/role=service")
    sha = pull.push("3")
    evict(pull.namespace, old["metadata"]["name"])
    scene.greenroom("wait", pull.name, "--commit", sha, "--timeout", "90s")
    assert pull.answers("3", 1)


def test_push_that_the_quota_has_no_room_for_keeps_the_old_version_and_says_so(scene: Scene) -> None:
    """A quota that fits exactly the pods that run has no room for the one that a push starts beside them."""
    with scene.configured(quota={"pods": 1}):
        pull = scene.payments.pull_request("no-room", "2")
        pull.ready("2")
        with Traffic(pull) as traffic:
            pull.push("3")
            pull.says("exceeds the preview's quota", 60)
        assert not traffic.failures, counted(traffic.answers)
        assert {a.release for a in traffic.answers} == {"2"}
        before = reloads()
    until(lambda: reloads() > before, 60, "the quota of before")
    scene.greenroom("redeploy", pull.name)
    pull.ready("3")


def test_superseded_commit_ends_a_wait_at_once(scene: Scene) -> None:
    pull = scene.payments.pull_request("superseded", "2")
    pull.ready("2")
    first = pull.push("3", built=False)
    scene.explains(pull, "Waiting for image")
    second = pull.push("4")
    begun = time.monotonic()
    said = scene.greenroom("wait", pull.name, "--commit", first, "--timeout", "90s", check=False)
    assert f"commit {first[:7]} was superseded by {second[:7]}." in said
    assert time.monotonic() - begun < 30
    pull.ready("4")


def test_no_answer_of_another_commit_while_greenroom_says_that_the_head_serves(scene: Scene) -> None:
    """A short run of `make bench-truth`: accidents of each kind."""
    pull = scene.payments.pull_request("truth", "0")
    pull.ready("0")
    prober, found = probed(pull, 10, seed=3)
    assert not found.violations, "; ".join(map(str, found.violations[:5]))
    assert found.judged[WAIT] > 100
    assert found.judged[READY] > 100
    assert len(prober.kinds) >= 4, prober.kinds


def grace(pull: Pull) -> int:
    """The seconds that the preview's web process has to end."""
    found = json.loads(kubectl("get", "deploy", "-n", pull.namespace, "-o", "json"))["items"]
    return int(found[0]["spec"]["template"]["spec"]["terminationGracePeriodSeconds"])


def reloads() -> int:
    """How often the controller has taken over a changed configuration."""
    return kubectl("logs", "-n", HOME, "deploy/greenroom").count("the configuration was reloaded")


def test_longer_pause_of_the_configuration_reaches_the_next_push(scene: Scene) -> None:
    pull = scene.payments.pull_request("pause", "2")
    pull.ready("2")
    before = reloads()
    with scene.configured(ingress={**scene.configuration["ingress"], "drain": "6s"}):
        assert grace(pull) == 7
        until(lambda: reloads() > before, 60, "the new configuration")
        pull.push("3")
        pull.ready("3")
        assert grace(pull) == 10

"""What must never remove a preview, and what waits for a person."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from e2e.scene import HOME, NODE, Pull, Scene, kubectl, thing, until


@pytest.mark.parametrize("fault", ["server-error", "html", "empty-list"])
def test_github_down_removes_nothing(scene: Scene, fault: str) -> None:
    pull = scene.payments.pull_request(f"down-{fault}", "2")
    pull.ready("2")
    uid = pull.uid
    scene.github.do(lambda w: w.faults.on(fault))
    before = scene.github.do(lambda w: w.faults.fired[fault])
    scene.github.do(lambda w: w.workflow_completed("shop/payments"))
    until(lambda: scene.github.do(lambda w: w.faults.fired[fault]) > before + 1, 60, f"{fault} seen")
    if fault == "empty-list":
        scene.explains(pull, "GitHub's list of pull requests does not show this pull request as open and labeled", 30)
    else:
        scene.troubled("GitHub", 30)
    time.sleep(3)
    assert pull.uid == uid
    pull.answers("2", 5)
    scene.github.do(lambda w: w.faults.off())


def test_another_label_in_the_configuration_is_held(scene: Scene) -> None:
    pull = scene.payments.pull_request("config", "2")
    pull.ready("2")
    uid = pull.uid
    with scene.configured(label="review-me"):
        pull.says("Preview held", 60)
        assert pull.name in scene.greenroom("list")
        assert pull.uid == uid
    pull.says("Preview ready", 60)
    assert pull.uid == uid


@pytest.mark.parametrize("what", ["renamed", "deleted"])
def test_a_label_that_is_renamed_or_deleted_on_github_is_held(scene: Scene, what: str) -> None:
    pull = scene.payments.pull_request(f"label-{what}", "2")
    pull.ready("2")
    uid = pull.uid
    if what == "renamed":
        scene.github.do(lambda w: w.rename_label("shop/payments", "preview", "other"))
    else:
        scene.github.do(lambda w: w.delete_label("shop/payments", "preview"))
    scene.github.do(lambda w: w.workflow_completed("shop/payments"))
    pull.says("Preview held", 60)
    told = {
        "renamed": "GitHub does not show who removed the label",
        "deleted": "possibly because the label was deleted in the repository",
    }
    assert told[what] in pull.comment
    time.sleep(2)
    assert pull.uid == uid


@pytest.mark.parametrize("what", ["not found for a day", "token refused"])
def test_access_that_is_lost_is_held(scene: Scene, what: str) -> None:
    pull = scene.payments.pull_request(f"access-{what[:3]}", "2")
    pull.ready("2")
    uid = pull.uid

    def hidden(value: bool) -> None:
        scene.github.do(lambda w: setattr(w.repository("shop/payments"), "hidden", value))

    if what == "token refused":
        scene.github.do(lambda w: w.faults.on("unauthorized"))
    else:
        hidden(True)
    scene.github.do(lambda w: w.workflow_completed("shop/payments"))
    said = (
        "GitHub rejected the token" if what == "token refused" else "GitHub does not show the repository shop/payments"
    )
    for _ in range(3):
        scene.troubled(said, 60)
        scene.github.do(lambda w: w.advance(timedelta(hours=8)))
        time.sleep(2)
    assert pull.uid == uid
    pull.answers("2", 5)
    scene.github.do(lambda w: w.faults.off())
    hidden(False)


def test_three_of_ten_unlabeled_previews_are_removed_and_seven_are_held(scene: Scene) -> None:
    pulls = [scene.payments.pull_request(f"ten-{n}", "2") for n in range(10)]
    for pull in pulls:
        pull.ready("2", 180)
    for pull in pulls[:4]:
        pull.unlabel()
    time.sleep(2)
    scene.kill()
    for pull in pulls[4:]:
        pull.unlabel()
    scene.up()
    until(lambda: sum(p.exists() for p in pulls) == 7, 90, "three that went")

    def waiting() -> list[Pull]:
        held = [p for p in pulls if "Preview held" in p.comment]
        return held if len(held) == 7 else []

    held = until(waiting, 60, "seven held")
    time.sleep(5)
    assert sum(p.exists() for p in pulls) == 7
    for pull in held:
        assert pull.name in scene.greenroom("list")
    scene.greenroom("release", "--yes", held[0].name)
    held[0].gone(60)
    assert all(p.exists() for p in held[1:]), "only what was named"
    scene.greenroom("release", "--yes", *[p.name for p in held[1:]])
    for pull in held[1:]:
        pull.gone(90)


class _Impostor(BaseHTTPRequestHandler):
    answer: tuple[int, bytes] = (200, b"")
    asked = 0

    @classmethod
    def asked_since(cls, seen: int) -> bool:
        return cls.asked > seen

    def do_POST(self) -> None:
        type(self).asked += 1
        status, body = self.answer
        self.send_response(status)
        if status == 302:
            self.send_header("location", f"http://{NODE}:8999/empty")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        return


@contextmanager
def _impostor() -> Iterator[type[_Impostor]]:
    server = ThreadingHTTPServer((NODE, 8999), _Impostor)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield _Impostor
    finally:
        server.shutdown()
        server.server_close()


def test_an_impostor_behind_the_plugin_service_removes_nothing(scene: Scene) -> None:
    pull = scene.payments.pull_request("impostor", "2")
    pull.ready("2")
    uid = pull.uid
    with _impostor() as impostor:
        patch = {"data": {"baseUrl": f"http://{NODE}:8999"}}
        before = thing("configmap", "greenroom-plugin", "argocd")
        assert before is not None
        kubectl("patch", "configmap", "greenroom-plugin", "-n", "argocd", "--type=merge", "-p", json.dumps(patch))
        try:
            for answer in ((200, b""), (200, b"null"), (200, b"{}"), (200, b'{"status":"ok"}'), (302, b"")):
                impostor.answer, seen = answer, impostor.asked
                kubectl(
                    "annotate",
                    "applicationset",
                    "preview-payments",
                    "-n",
                    "argocd",
                    "--overwrite",
                    f"argocd.argoproj.io/application-set-refresh=impostor-{seen}",
                )
                until(partial(impostor.asked_since, seen), 30, f"the impostor asked, {answer}")
                time.sleep(1.5)
                assert pull.uid == uid, answer
        finally:
            patch = {"data": {"baseUrl": before["data"]["baseUrl"]}}
            kubectl("patch", "configmap", "greenroom-plugin", "-n", "argocd", "--type=merge", "-p", json.dumps(patch))
    pull.push("3")
    pull.answers("3")
    assert pull.uid == uid
    assert HOME


def test_two_refreshes_that_race_never_lose_a_spec(scene: Scene) -> None:
    pulls = [scene.payments.pull_request("race-0", "2")]
    pulls[0].ready("2")
    stop = threading.Event()

    def refresh() -> None:
        n = 0
        while not stop.is_set():
            n += 1
            kubectl(
                "annotate",
                "applicationset",
                "preview-payments",
                "-n",
                "argocd",
                "--overwrite",
                f"argocd.argoproj.io/application-set-refresh=race-{n}",
                check=False,
            )

    racing = threading.Thread(target=refresh)
    racing.start()
    try:
        for number in range(1, 4):
            pull = scene.payments.pull_request(f"race-{number}", "2", labeled=False)
            time.sleep(0.5)
            pull.label()
            until(partial(getattr, pull, "uid"), 5, f"the Application of {pull.name}")
            pulls.append(pull)
    finally:
        stop.set()
        racing.join()
    assert all(p.uid for p in pulls)

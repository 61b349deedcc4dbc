"""The model of the chaos runs notices each kind of violation: a check that cannot fail proves nothing."""

from __future__ import annotations

from typing import Any

import pytest

from chaos.judge import BOT, Intent, Key, Look, Observations, complaints, leaks, removals, tied

KEY: Key = (7, 1)
SHA, OTHER = "a" * 40, "b" * 40
HOST = "front-pr-1.preview.localhost"
READY = f"<!-- greenroom:1 x -->\n### Preview ready\n\n| service | open | version |\n| --- | --- | --- |\n| front | http://{HOST}:80 | {SHA[:7]} |"
REMOVED = "### Preview removed\n\nNothing is left."
ONE, NONE = {KEY: frozenset({"u1"})}, dict[Key, frozenset[str]]()
Json = dict[str, Any]


def moment(event: str, who: str = "ada", t: float = 0, at: str = "2026-03-02T09:00:00+00:00", **more: Any) -> Json:
    made = {"t": t, "at": at, "event": event, "who": who, "repo": 7, "number": 1, "open": True, "sha": SHA}
    return {**made, "labels": ["preview"], **more}


def answer(t: float, updated: str, *, until: float = 0, **more: Any) -> Json:
    made = {
        "t": t,
        "until": until or t,
        "repo": 7,
        "number": 1,
        "updated": updated,
        "open": True,
        "labels": ["preview"],
        "whole": True,
    }
    return {**made, **more}


def judged(answers: list[Json], journal: list[Json], released: list[tuple[float, Key]] | None = None) -> list[str]:
    seen = Observations()
    for at, previews in ((1.0, NONE), (2.0, ONE), (9.0, NONE)):
        seen.add(at, previews)
    return [v.text for v in removals(seen, answers, journal, released or [])]


CLOSED = answer(6, "2026-03-02T09:00:06Z", open=False)
UNLABELED = answer(6, "2026-03-02T09:00:06Z", labels=[])


def test_removal_without_any_reason_is_a_violation() -> None:
    [text] = judged([answer(3, "2026-03-02T09:00:00Z")], [moment("pull_request labeled")])
    assert "no answer of GitHub's said" in text


def test_removal_after_closing_is_not_a_violation() -> None:
    assert judged([answer(3, "2026-03-02T09:00:00Z"), CLOSED], [moment("pull_request closed", open=False)]) == []


def test_removal_for_an_answer_older_than_one_before_is_a_violation() -> None:
    [text] = judged([answer(5, "2026-03-02T09:00:08Z"), CLOSED], [moment("pull_request closed", open=False)])
    assert "was older than one before" in text


def test_an_answer_that_was_not_whole_is_a_reason_and_proves_nothing_against_another() -> None:
    broken = answer(6, "2026-03-02T09:00:06Z", open=False, whole=False)
    assert judged([answer(3, "2026-03-02T09:00:00Z"), broken], [moment("pull_request closed", open=False)]) == []
    newer = answer(5, "2026-03-02T09:00:08Z", whole=False)
    assert judged([newer, CLOSED], [moment("pull_request closed", open=False)]) == []


def test_a_preview_is_kept_for_an_hour_only_if_it_was_asked_for_and_ended_in_one_second() -> None:
    asked, ended = moment("pull_request reopened"), moment("pull_request closed", open=False)
    assert tied([asked, ended]) == {KEY}
    assert tied([asked, moment("pull_request closed", at="2026-03-02T09:00:01+00:00", open=False)]) == set()


def test_removal_for_the_reason_of_an_earlier_preview_is_a_violation() -> None:
    early = answer(0.5, "2026-03-02T09:00:00Z", open=False)
    [text] = judged([early, answer(3, "2026-03-02T09:00:05Z")], [])
    assert "no answer of GitHub's said" in text


@pytest.mark.parametrize(
    ("event", "who", "violation"),
    [
        ("pull_request unlabeled", "ada", ""),
        ("delete_label", "an admin", "the label was deleted in the repository"),
        ("rename_label", "an admin", "the label went by rename_label"),
        ("pull_request unlabeled", BOT, "it expired"),
    ],
)
def test_a_label_is_a_reason_only_when_a_person_took_it_off(event: str, who: str, violation: str) -> None:
    journal = [moment("pull_request labeled"), moment(event, who, t=5, labels=[])]
    found = judged([UNLABELED], journal)
    assert len(found) == bool(violation)
    assert violation in " ".join(found)


def test_a_label_that_is_deleted_in_the_repository_is_no_reason_although_github_names_who_did_it() -> None:
    off = moment("pull_request unlabeled", "grace", t=5, labels=[])
    [text] = judged([UNLABELED], [moment("pull_request labeled"), off, moment("delete_label", t=5.1, labels=[])])
    assert "was deleted in the repository" in text


def test_expiry_needs_days_without_work_and_a_warning() -> None:
    labeled = moment("pull_request labeled")
    warned = moment("issue_comment edited", BOT, t=1, at="2026-03-04T10:00:00+00:00", body="### Preview expiring")
    off = moment("pull_request unlabeled", BOT, t=5, at="2026-03-05T11:00:00+00:00", labels=[])
    talked = moment("issue_comment created", "ada", t=2, at="2026-03-05T09:00:00+00:00")
    kept = {**off, "labels": ["preview-keep"]}
    assert judged([UNLABELED], [labeled, warned, off]) == []
    assert "without a warning" in judged([UNLABELED], [labeled, off])[0]
    assert "after issue_comment created" in judged([UNLABELED], [labeled, warned, talked, off])[0]
    assert "is to be kept" in judged([UNLABELED], [labeled, warned, kept])[0]


def test_a_released_preview_may_be_removed() -> None:
    assert judged([], [], [(3.0, KEY)]) == []
    assert judged([], [], [(0.5, KEY)]) != []


def truth(*bodies: str, **more: Any) -> Json:
    comments = [{"id": n, "author": BOT, "editor": "", "body": body, "made": n} for n, body in enumerate(bodies)]
    pull = {"repo": 7, "number": 1, "slug": "acme/front", "title": "Change", "private": False, "open": True}
    return {"pulls": [{**pull, "labels": ["preview"], "sha": SHA, "draft": False, "comments": comments, **more}]}


def intent(**more: Any) -> Intent:
    return Intent("life-0", 7, 1, "front", **more)


def serving(status: int = 200, commit: str = SHA, link: str = "", **more: Any) -> Look:
    answers = {HOST: (status, {"commit": commit, "links": {"back": link}}), **more.pop("answers", {})}
    return Look("u1", answers=answers, **more)


FINE = [
    (truth(READY), serving(), intent()),
    (truth(REMOVED, open=False), Look(), intent()),
    (truth("### Preview failed", sha=OTHER), Look("u1"), intent(bad={OTHER})),
    (truth("### Preview asleep", labels=["preview", "preview-sleep"]), Look("u1"), intent()),
]
WRONG = [
    (3, truth(READY, READY), serving(), intent()),
    (3, truth(), serving(), intent()),
    (3, truth("### Preview ready", sha=OTHER), serving(), intent(bad={OTHER})),
    (3, truth("### Preview waiting", open=False), Look(), intent()),
    (2, truth(READY), Look(), intent()),
    (2, truth("### Preview failed"), serving(), intent()),
    (2, truth(REMOVED, open=False), Look(processes=1), intent()),
    (2, truth(REMOVED, open=False), Look(databases=1), intent()),
    (2, truth(REMOVED, open=False), Look(worktrees=1), intent()),
    (2, truth(REMOVED, open=False), Look("u1"), intent()),
    (2, truth(REMOVED, open=False), Look(objects=("namespace preview-front-1",)), intent()),
    (2, truth(REMOVED, open=False), Look(answers={HOST: (502, {})}), intent()),
    (2, truth(READY), serving(answers={"old-pr-1.preview.localhost": (502, {})}), intent()),
    (4, truth(READY), serving(commit=OTHER), intent()),
    (4, truth(READY), serving(503), intent()),
    (4, truth(READY, sha=OTHER), serving(), intent()),
    (4, truth("### Preview ready"), serving(), intent()),
    (7, truth("### Preview asleep", labels=["preview", "preview-sleep"]), Look("u1", processes=1), intent()),
]


@pytest.mark.parametrize(("world", "look", "wish"), FINE)
def test_a_world_as_it_should_be_has_no_complaint(world: Json, look: Look, wish: Intent) -> None:
    assert complaints(world, {KEY: look}, [wish]) == []


@pytest.mark.parametrize(("rule", "world", "look", "wish"), WRONG)
def test_each_thing_that_is_wrong_is_a_complaint(rule: int, world: Json, look: Look, wish: Intent) -> None:
    assert [v.rule for v in complaints(world, {KEY: look}, [wish])] == [rule]


@pytest.mark.parametrize(
    ("text", "editor", "ended", "rules"),
    [
        ("Spoiled", "eve", [0.5], []),
        ("Spoiled", "eve", [], [3, 2]),
        ("Spoiled", "", [0.5], [3, 2]),
        (f"Look: {READY}", "eve", [0.5], [3]),
    ],
    ids=["lost in a crash", "without a crash", "not edited", "with our marker"],
)
def test_only_a_comment_that_a_person_replaced_and_a_crash_lost_may_stay_beside_ours(
    text: str, editor: str, ended: list[float], rules: list[int]
) -> None:
    world = truth(text, READY)
    world["pulls"][0]["comments"][0]["editor"] = editor
    assert [v.rule for v in complaints(world, {KEY: serving()}, [intent()], ended=ended)] == rules


@pytest.mark.parametrize(
    ("leads", "rules"),
    [
        ("http://127.0.0.1:8000/.host/back-pr-3.preview.localhost", []),
        ("http://back.preview-back-3:8080", []),
        ("http://staging.example.com", [7]),
        ("http://back-pr-33.preview.localhost", [7]),
    ],
)
def test_a_choice_must_lead_where_the_person_chose(leads: str, rules: list[int]) -> None:
    chosen = {**truth(READY)["pulls"][0], "repo": 8, "number": 3}
    world = {"pulls": [*truth(READY)["pulls"], chosen]}
    wishes = [intent(use={"back": "3"}), Intent("life-1", 8, 3, "back")]
    looks = {KEY: serving(link=leads), (8, 3): serving()}
    assert [v.rule for v in complaints(world, looks, wishes)] == rules


def test_secrets_and_private_names_are_leaks() -> None:
    private = {**truth()["pulls"][0], "repo": 8, "slug": "acme/hushed", "private": True, "title": "Secret plan"}
    world = truth("Used by acme/hushed#1")
    world["pulls"].append(private)
    said = moment("issue_comment created", BOT, body="the token is t0p-secret")
    found = leaks(world, [said], ["t0p-secret", ""], {"the log": "t0p-secret", "the history": "fine"})
    assert [v.text for v in found] == [
        "a secret stood in a comment",
        "a secret stands in the log",
        "a public comment names 'acme/hushed'",
    ]

"""A removal waits up to a minute for users whose running processes still call the preview."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from builders import NOW, REPOSITORY_ID, changed, identity, preview, spec
from greenroom.core.model.actions import Remove
from greenroom.core.model.engine import Cause, EngineState, Health, Ledger, ObservedPreview, PreviewSet, Withdrawal
from greenroom.core.model.spec import Link, PreviewSpec
from greenroom.core.model.status import Reason
from greenroom.core.model.verdicts import Desired, Go
from greenroom.core.planning.plan import Plan, plan

TARGET = spec(1)
INSIDE, PUBLIC = f"shop.{TARGET.names.namespace}", "shop-pr-1.preview.example.com"
STAGING = spec(2, targets=(Link("shop", "shop", (("url", "SHOP_URL"),), "http://shop.staging", ""),))
LINKED = spec(2, targets=(replace(STAGING.links.targets[0], number=1, namespace=TARGET.names.namespace, port=8080),))


def user(
    of: PreviewSpec = STAGING, calls: str = INSIDE, health: Health = Health.UPDATING, **changes: object
) -> ObservedPreview:
    return replace(preview(2, of, health), calls=frozenset({calls, "shop.staging"}), **changes)  # type: ignore[arg-type]


def after(
    seconds: int,
    using: ObservedPreview,
    *,
    served: bool = True,
    doubt: bool = False,
    target: ObservedPreview | None = None,
) -> Plan:
    """Return the plan for a preview whose pull request was closed and whose spec was deleted so many seconds ago."""
    entry = Withdrawal(identity(1), Cause.CLOSED, NOW - timedelta(seconds=seconds), "grace")
    preview_set = PreviewSet(REPOSITORY_ID, "shop", 2, {2: using.spec} if served else {}, Ledger((entry,)))
    previews = {identity(1): target or preview(1), identity(2): using}
    observed = EngineState(previews, {REPOSITORY_ID: preview_set}, doubts={REPOSITORY_ID: "unread"} if doubt else {})
    go = Go(Cause.CLOSED, Reason("closed", "It was closed."), "grace", NOW)
    return plan(Desired({identity(1): go}), observed, preview_set, NOW)


def removes(found: Plan) -> bool:
    return any(isinstance(a, Remove) for a in found.actions)


@pytest.mark.parametrize("calls", [INSIDE, f"{INSIDE}.svc.cluster.local", PUBLIC])
def test_removal_waits_while_a_running_user_calls_the_preview(calls: str) -> None:
    found = after(59, user(calls=calls))
    assert not removes(found)
    assert found.waiting == {identity(1)}
    wait = "The removal waits up to 1 min for these previews to switch to another target: shop#2."
    assert found.leaving[identity(1)].text == f"It was closed. {wait}"


def test_removal_continues_once_the_user_runs_with_another_link() -> None:
    found = after(1, user(calls="shop.preview-shop-10"))
    assert removes(found)
    assert not found.leaving


def test_removal_continues_after_a_minute_and_names_users_that_have_not_moved() -> None:
    found = after(60, user())
    [remove] = found.actions
    assert isinstance(remove, Remove)
    late = "The removal continues although these previews did not switch to another target in time: shop#2."
    assert remove.reason.text == f"It was closed. {late}"
    going = after(61, user(), target=preview(1, health=Health.REMOVING))
    assert (going.actions, going.leaving[identity(1)]) == ((), remove.reason), "it is said until the preview is gone"


@pytest.mark.parametrize(
    ("why", "using", "more"),
    [
        ("asleep", user(changed(STAGING, asleep=True)), {}),
        ("being removed, and its row is out", user(), {"served": False}),
        ("being deleted", user(health=Health.REMOVING), {}),
        ("linked by hand", user(manual_overrides=(("links.shop.url", f"http://{INSIDE}:8080/"),)), {}),
    ],
)
def test_removal_does_not_wait_for_a_user_that_is(why: str, using: ObservedPreview, more: dict[str, Any]) -> None:
    assert removes(after(1, using, **more)), why


STOPPED = replace(preview(1), services=tuple(replace(s, ready=False, sha="") for s in preview(1).services))


@pytest.mark.parametrize(
    ("why", "using", "more"),
    [
        ("its link does not move", user(LINKED), {}),
        ("it has failed, perhaps for a moment", user(health=Health.FAILED), {}),
        ("it could not be observed now", user(), {"doubt": True}),
        ("the target serves nobody now", user(), {"target": STOPPED}),
    ],
)
def test_removal_waits_ten_seconds_for_a_user_when(why: str, using: ObservedPreview, more: dict[str, Any]) -> None:
    assert not removes(after(9, using, **more)), why
    assert removes(after(10, using, **more)), why


def test_public_comment_does_not_name_a_private_user() -> None:
    found = after(1, user(), target=preview(1, changed(TARGET, private=False)))
    assert found.leaving[identity(1)].text.endswith("to switch to another target: another preview.")

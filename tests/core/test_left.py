"""Which repositories nobody looks at any more, and what they are called while another one has their name."""

from __future__ import annotations

from dataclasses import replace

from builders import (
    NOW,
    PLATFORM,
    REPOSITORY,
    changed,
    decide,
    facts,
    identity,
    labeled,
    observed,
    preview,
    pull_request,
    spec,
)
from greenroom.core.model.engine import Cause, EngineState, Ledger, PreviewSet, Withdrawal
from greenroom.core.model.spec import Identity
from greenroom.core.model.status import Stage
from greenroom.core.planning.decision import set_of_repository
from greenroom.core.planning.former_repositories import former, left, left_set

EMPTY_LEDGER = Ledger()
EMPTY = replace(PLATFORM, repositories=())


def of(repository_id: int, *numbers: int, generation: int = 5, ledger: Ledger = EMPTY_LEDGER) -> EngineState:
    specs = {n: changed(spec(n), repository_id=repository_id) for n in numbers}
    previews = {Identity(repository_id, n): preview(n, of=r) for n, r in specs.items()}
    return EngineState(previews, {repository_id: PreviewSet(repository_id, "shop", generation, specs, ledger)})


def both(*parts: EngineState) -> EngineState:
    return EngineState(
        {i: p for part in parts for i, p in part.previews.items()},
        {i: s for part in parts for i, s in part.sets.items()},
    )


def test_repository_that_is_another_one_at_github_is_called_by_its_id_too() -> None:
    holds = both(of(3, 1), of(7, 1))
    assert [r.name for r in left(holds, PLATFORM, {"acme/shop": 7})] == ["shop@3"]
    assert left(of(7, 1), PLATFORM, {"acme/shop": 7}) == ()
    assert left(of(3, 1), PLATFORM, {}) == (), "GitHub's id was not read yet"


def test_two_repositories_that_left_under_one_name_get_different_names() -> None:
    holds = both(of(3, 1), of(7, 1))
    names = [r.name for r in left(holds, EMPTY, {})]
    assert names == ["shop@3", "shop@7"]
    assert [preview_set.repository_id for n in names if (preview_set := left_set(holds, n))] == [3, 7]
    assert [r.name for r in left(of(3, 1), EMPTY, {})] == ["shop"]
    assert left_set(of(3, 1), "shop") is not None
    assert left_set(of(3, 1), "web") is None


def test_new_repository_waits_for_every_trace_of_the_former_one() -> None:
    going = Ledger((Withdrawal(Identity(3, 9), Cause.RELEASED, NOW),))
    for holds in (of(3, 9), of(3, ledger=going)):
        found = facts(pull_request(1, label_events=(labeled(),)), holds=holds)
        status = decide(found, PLATFORM, REPOSITORY, NOW).statuses[identity(1)]
        assert (status.stage, status.reason.code) == (Stage.BLOCKED, "name-in-use")
        assert "`greenroom release shop@3#9`" in status.reason.fix
    assert former(facts(holds=of(3)), REPOSITORY) == ()


def test_new_repository_continues_from_the_generation_of_the_former_one() -> None:
    assert set_of_repository(facts(holds=of(3, generation=12)), REPOSITORY).generation == 12
    assert set_of_repository(facts(holds=observed(1)), REPOSITORY).generation == 1


def test_preview_that_runs_is_not_blocked_by_a_former_repository() -> None:
    found = facts(pull_request(1), holds=both(of(3, 9), observed(1)))
    assert decide(found, PLATFORM, REPOSITORY, NOW).statuses[identity(1)].stage is Stage.READY

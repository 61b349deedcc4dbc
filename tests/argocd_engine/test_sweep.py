"""What belongs to nothing: found by each sweep, and deleted only after it has been so for long."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from argocd_engine.fake import FakeKube, namespace_of
from argocd_engine.test_engine import FRAME, QUICK, SETTINGS, play, preview_set
from builders import NOW, REPOSITORY_ID
from greenroom.argocd import applicationset
from greenroom.argocd import sweep as sweeps
from greenroom.argocd.client import APPLICATIONS, NAMESPACES
from greenroom.argocd.settings import ArgoSettings
from greenroom.argocd.sweep import Orphan, OrphanTracker
from greenroom.core.model.engine import Cause, Ledger, Withdrawal
from greenroom.core.model.spec import Identity
from waiting import until

ONE, TWO = Orphan("namespace", "preview-shop-1", "uid-1"), Orphan("namespace", "preview-shop-2", "uid-2")
SEEN_FOR = QUICK.orphan_age
AT_ONCE = replace(QUICK, orphan_age=0.0)
DELETES = replace(SETTINGS, delete_orphans=True)


def test_only_a_namespace_that_every_sweep_of_a_while_saw_lasts() -> None:
    seen = OrphanTracker()
    assert seen.lasting([ONE, TWO], 100.0) == ()
    assert seen.lasting([ONE, TWO], 100.1) == (), "two sweeps in a moment"
    assert seen.lasting([ONE], 100.0 + SEEN_FOR - 1) == ()
    assert seen.lasting([ONE, TWO], 100.0 + SEEN_FOR) == (ONE,), "the other one was explained meanwhile"
    assert seen.lasting([replace(ONE, uid="uid-3"), TWO], 100.0 + 2 * SEEN_FOR) == (TWO,), "another one of that name"


def test_applications_and_volumes_are_reported_and_never_deleted() -> None:
    seen = OrphanTracker()
    others = [Orphan("Application", "preview-shop-1", "a"), Orphan("PersistentVolume", "disk", "b")]
    seen.lasting(others, 0.0)
    assert seen.lasting(others, 10 * SEEN_FOR) == ()


def orphaned(number: int) -> FakeKube:
    kube = FakeKube()
    labels = {**FRAME.labels(), applicationset.REPOSITORY_ID: str(REPOSITORY_ID), applicationset.NUMBER: str(number)}
    kube.put(NAMESPACES.plural, namespace_of(f"preview-shop-{number}", labels))
    return kube


async def test_two_sweeps_in_a_moment_delete_nothing() -> None:
    async with play(orphaned(9), settings=DELETES) as played:
        await until(lambda: ("", "preview-shop-9") in played.parts.copies.namespaces.items)
        for _ in range(3):
            done = await played.engine.sweep()
            assert ([str(o) for o in done.orphans], done.deleted) == (["namespace preview-shop-9"], ())
        assert played.kube.deleted == []


@pytest.mark.parametrize(
    ("settings", "gone"), [(DELETES, ["preview-shop-9"]), (SETTINGS, [])], ids=["delete", "report"]
)
async def test_what_has_belonged_to_nothing_for_long_is_deleted_where_the_team_asked_for_it(
    settings: ArgoSettings, gone: list[str]
) -> None:
    async with play(orphaned(9), settings=settings, timing=AT_ONCE) as played:
        await until(lambda: ("", "preview-shop-9") in played.parts.copies.namespaces.items)
        done = await played.engine.sweep()
        assert [o.name for o in done.deleted] == gone
        assert played.kube.deleted == [("namespaces", name) for name in gone]


class Served(FakeKube):
    """A spec comes back while the first orphan is being deleted."""

    played: Any = None

    async def delete(self, *given: Any) -> None:
        await self.played.engine.serve(preview_set(8))
        await super().delete(*given)


async def test_what_a_spec_explains_again_in_the_middle_of_a_sweep_stays() -> None:
    kube = Served(objects=orphaned(7).objects | orphaned(8).objects)
    async with play(kube, settings=DELETES, timing=AT_ONCE) as played:
        kube.played = played
        await until(lambda: ("", "preview-shop-8") in played.parts.copies.namespaces.items)
        await played.engine.sweep()
        assert kube.deleted == [("namespaces", "preview-shop-7")]


def labels_of(number: int, **more: str) -> dict[str, str]:
    return {
        **FRAME.labels(),
        applicationset.REPOSITORY_ID: str(REPOSITORY_ID),
        applicationset.NUMBER: str(number),
        **more,
    }


def found(kube: FakeKube, ledger: Ledger | None = None, volumes: tuple[dict[str, Any], ...] = ()) -> tuple[str, ...]:
    kinds = (APPLICATIONS, NAMESPACES)
    applications, namespaces = ([o for (p, _, _), o in kube.objects.items() if p == k.plural] for k in kinds)
    known = {REPOSITORY_ID: preview_set(generation=2, ledger=ledger)}
    return tuple(str(o) for o in sweeps.orphans("test", known, applications, namespaces, volumes))


def test_a_namespace_of_another_installation_is_not_an_orphan_of_ours() -> None:
    kube = FakeKube()
    kube.put(
        NAMESPACES.plural, namespace_of("preview-shop-9", labels_of(9, **{applicationset.INSTALLATION: "another"}))
    )
    kube.put(NAMESPACES.plural, namespace_of("preview-shop-8", labels_of(8)))
    assert found(kube) == ("namespace preview-shop-8",)


def test_an_application_of_another_installation_is_no_orphan_and_explains_no_namespace() -> None:
    kube = FakeKube()
    other = labels_of(9, **{applicationset.INSTALLATION: "another"})
    kube.put(APPLICATIONS.plural, {"metadata": {"name": "preview-shop-9", "namespace": "argocd", "labels": other}})
    kube.put(NAMESPACES.plural, namespace_of("preview-shop-9", labels_of(9)))
    assert found(kube) == ("namespace preview-shop-9",)


@pytest.mark.parametrize(("told", "orphaned_now"), [(False, ()), (True, ("namespace preview-shop-9",))])
def test_a_namespace_whose_removal_is_still_open_is_not_an_orphan(told: bool, orphaned_now: tuple[str, ...]) -> None:
    """Such as one that a finalizer holds: people are told of it, and look at it."""
    kube = FakeKube()
    kube.put(NAMESPACES.plural, namespace_of("preview-shop-9", labels_of(9)))
    removal = Withdrawal(Identity(REPOSITORY_ID, 9), Cause.CLOSED, NOW, told=told)
    assert found(kube, Ledger(withdrawals=(removal,))) == orphaned_now

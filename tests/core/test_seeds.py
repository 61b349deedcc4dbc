"""Which seed a preview starts from: one that fits its own commit, and the same one until a person asks for another."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import cmarkgfm
import pytest

from builders import (
    NOW,
    PLATFORM,
    REPOSITORY,
    REPOSITORY_ID,
    SERVICE,
    changed,
    decide,
    desired,
    digest,
    facts,
    identity,
    observed,
    preview,
    sha,
    spec,
)
from builders import pull_request as built_pull_request
from greenroom.core.comment.body import comment_text
from greenroom.core.model.actions import Change
from greenroom.core.model.catalog import Login, Need, Platform, SeedMode, SeedOptions, Seeds, Service, Storage
from greenroom.core.model.engine import BuildFailed, EngineState, Life, PreviewSet
from greenroom.core.model.github import Missing, Present, Unknown
from greenroom.core.model.seeds import SeedFacts, SeedInputs, SeedLabel, Source, Tree
from greenroom.core.model.spec import Data, PreviewSpec, SeedImage
from greenroom.core.model.status import Stage, Status
from greenroom.core.model.verdicts import Run, Stay, Verdict
from greenroom.core.planning import data_generation
from greenroom.core.planning.chart_values import parameters
from greenroom.core.policy import seeds
from seeded import BASE, DUMP, HERE, NEED, NONE, OTHER, SEED, SEEDED, SHOP, known, reference


def verdict(seeds: SeedFacts, holds: EngineState | None = None, platform: Platform = HERE, **changes: Any) -> Verdict:
    repository = platform.repositories[0]
    found = facts(built_pull_request(1, **changes), holds=holds, seeds=seeds)
    return desired(found, platform, repository, NOW).verdicts[identity()]


def runs(found: Verdict) -> Run:
    assert isinstance(found, Run), found
    return found


def test_preview_starts_from_the_image_of_its_own_dump() -> None:
    (seed,) = runs(verdict(known())).spec.data.seeds
    assert seed == SeedImage("shop", "db", reference(), digest(DUMP), DUMP, 500 * 2**20)


def test_dump_that_a_pull_request_changes_has_an_image_of_its_own() -> None:
    assert reference() != reference(OTHER)
    (seed,) = runs(verdict(known(dump=OTHER))).spec.data.seeds
    assert seed.reference == reference(OTHER)


@pytest.mark.parametrize("platform", [PLATFORM, replace(HERE, seeds=Seeds())])
def test_without_a_place_for_images_nothing_is_read_and_data_starts_empty(platform: Platform) -> None:
    assert runs(verdict(SeedFacts(), platform=platform)).spec.data.seeds == ()


@pytest.mark.parametrize(
    ("seeds", "stage", "text"),
    [
        (known(state=Missing()), Stage.WAITING, "The seed image for seed/shop.sql does not exist yet"),
        (known(state=Unknown("The registry returned 503.")), Stage.WAITING, "The registry returned 503."),
        (known(dump=None), Stage.BLOCKED, f"The dump seed/shop.sql does not exist in acme/shop at {sha(1)[:7]}."),
        (SeedFacts({Source("acme/shop", sha(1)): "GitHub returned 502."}), Stage.WAITING, "GitHub returned 502."),
        (replace(known(), labels={digest(DUMP): "Broken."}), Stage.WAITING, "Broken."),
        (SeedFacts(), Stage.WAITING, "The files of acme/shop have not been read yet."),
    ],
)
def test_nothing_starts_before_its_seed_is_known(seeds: SeedFacts, stage: Stage, text: str) -> None:
    found = verdict(seeds)
    assert isinstance(found, Stay)
    assert (found.stage, found.spec) == (stage, None)
    assert found.reason.text.startswith(text)


@pytest.mark.parametrize("tree", ["GitHub returned 502.", Tree({"seed/shop.sql": DUMP})])
def test_nothing_starts_before_the_migrations_of_its_branch_are_known(tree: Tree | str) -> None:
    options = SeedOptions(repository="acme/seeds", branch="stable")
    elsewhere = replace(SHOP, services=(replace(SEEDED, needs=(replace(NEED, seed_options=options),)),))
    trees = {Source("acme/seeds", "stable"): Tree({"seed/shop.sql": DUMP}), Source("acme/shop", sha(1)): tree}
    found = verdict(replace(known(), trees=trees), platform=replace(HERE, repositories=(elsewhere,)))
    assert isinstance(found, Stay)
    assert (found.stage, found.reason.code) == (Stage.WAITING, "seed-unknown")


def test_missing_image_is_built_here_only_where_the_platform_says_so() -> None:
    found = verdict(known(state=Missing()), platform=replace(HERE, seeds=replace(HERE.seeds, builds=True)))
    assert isinstance(found, Stay)
    (build,) = found.builds
    assert (build.reference, build.path, build.source) == (reference(), "seed/shop.sql", Source("acme/shop", sha(1)))
    assert found.reason.text == "Greenroom is building the seed image from seed/shop.sql."


def test_failed_build_says_why_and_waits_for_a_push() -> None:
    holds = EngineState(failed_builds={reference().rpartition(":")[2]: BuildFailed("seed/shop.sql is cut off.")})
    found = verdict(known(state=Missing()), holds)
    assert isinstance(found, Stay)
    assert (found.stage, found.reason.code, found.reason.text) == (
        Stage.BLOCKED,
        "seed-failed",
        "seed/shop.sql is cut off.",
    )


def held(data: Data, *lives: Life, platform: Platform = HERE) -> EngineState:
    made = changed(spec(1), services=platform.repositories[0].services, **vars_of(data))
    known_set = PreviewSet(made.id.repository_id, "shop", 1, {1: made})
    running = replace(preview(1, made), lives=lives)
    return replace(observed(), previews={identity(): running}, sets={made.id.repository_id: known_set})


def vars_of(data: Data) -> dict[str, Any]:
    names = ("generation", "holders", "reset_at", "seeds", "resets", "replaced")
    return {name: getattr(data, name) for name in names}


def test_preview_keeps_its_seed_when_the_dump_changes_and_nothing_is_read_for_it() -> None:
    holds = held(Data(holders={"db": "a"}, seeds=(SEED,)), Life("db", "a"))
    data = runs(verdict(SeedFacts(), holds, head_sha=sha(1, 2))).spec.data
    assert data == Data(holders={"db": "a"}, seeds=(SEED,))


def test_preview_that_started_empty_before_seeds_existed_keeps_its_data() -> None:
    assert runs(verdict(SeedFacts(), held(Data(holders={"db": "a"}), Life("db", "a")))).spec.data.seeds == ()


def test_another_version_of_the_server_gets_a_seed_for_it() -> None:
    newer = replace(SHOP, services=(replace(SEEDED, needs=(replace(NEED, version="17"),)),))
    platform = replace(HERE, repositories=(newer,))
    name = f"registry.example.com/seeds:{SeedInputs('postgresql', '17', BASE[:-2] + '17', DUMP).tag}"
    seeds = SeedFacts(
        {Source("acme/shop", sha(1)): Tree({"seed/shop.sql": DUMP}, NONE)},
        {name: Present(digest("17"))},
        {digest("17"): SeedLabel()},
    )
    (seed,) = runs(verdict(seeds, held(Data(seeds=(SEED,))), platform)).spec.data.seeds
    assert seed.digest == digest("17")


def test_follower_gets_the_newer_seed_and_its_data_starts_over() -> None:
    follows = replace(NEED, seed_options=SeedOptions(follow=True))
    platform = replace(HERE, repositories=(replace(SHOP, services=(replace(SEEDED, needs=(follows,)),)),))
    holds = held(Data(3, {"db": "a"}, seeds=(SEED,)), Life("db", "a"), platform=platform)
    data = runs(verdict(known(dump=OTHER), holds, platform)).spec.data
    assert [s.dump for s in data.seeds] == [OTHER]
    assert (data.generation, data.resets, data.replaced, data.reset_at) == (4, 1, ("a",), NOW)


def test_dump_of_another_repository_is_the_newest_of_its_branch() -> None:
    options = SeedOptions(repository="acme/seeds", branch="stable")
    elsewhere = replace(SHOP, services=(replace(SEEDED, needs=(replace(NEED, seed_options=options),)),))
    trees = {Source("acme/seeds", "stable"): Tree({"seed/shop.sql": DUMP}), Source("acme/shop", sha(1)): Tree({}, NONE)}
    seeds = replace(known(), trees=trees)
    assert runs(verdict(seeds, platform=replace(HERE, repositories=(elsewhere,)))).spec.data.seeds


def test_containers_that_a_reset_replaces_are_not_new_data() -> None:
    later = NOW + timedelta(minutes=1)
    data = data_generation.reset(Data(1, {"db": "a"}, seeds=(SEED,)), NOW)
    assert (data.generation, data.resets) == (2, 1)
    made = changed(spec(1), **vars_of(data))
    still = data_generation.data(made, replace(preview(1, made), lives=(Life("db", "a"),)), later)
    assert still == data
    fresh = data_generation.data(
        changed(made, **vars_of(still)), replace(preview(1, made), lives=(Life("db", "b"),)), later
    )
    assert (fresh.generation, fresh.holders) == (2, {"db": "b"})
    after = changed(made, **vars_of(fresh))
    crashed = data_generation.data(after, replace(preview(1, after), lives=(Life("db", "c"),)), later)
    assert crashed.generation == 3


def test_services_that_started_before_the_new_container_restart_again() -> None:
    made = changed(spec(1), **vars_of(data_generation.reset(Data(1, {"db": "a"}), NOW)))
    early = replace(preview(1, made), lives=(Life("db", "b", overtaken=True),))
    assert data_generation.data(made, early, NOW).generation == 3


@pytest.mark.parametrize(
    ("need", "mode"),
    [
        (NEED, "layer"),
        (replace(NEED, storage=Storage.PERSISTENT, seed_options=SeedOptions(mode=SeedMode.COPY)), "copy"),
    ],
)
def test_chart_gets_the_image_by_digest_and_room_for_its_data(need: Need, mode: str) -> None:
    seed = replace(SEED, size=500 * 2**20)
    made = changed(spec(1), services=(replace(SERVICE, needs=(need,)),), seeds=(seed,), resets=2)
    values: Any = parameters(made, HERE)["values"]
    found = values["services"]["shop"]["needs"]["db"]
    assert found["image"] == f"registry.example.com/seeds@{digest(DUMP)}"
    assert found["seed"] == {"mode": mode, "room": "600Mi"}
    assert found["resets"] == 2


def status_of(made: PreviewSpec) -> Status:
    platform = replace(HERE, repositories=(replace(SHOP, services=made.services),))
    sets = {REPOSITORY_ID: PreviewSet(REPOSITORY_ID, "shop", 1, {1: made})}
    holds = EngineState({identity(): preview(1, made)}, sets)
    found = facts(built_pull_request(1), holds=holds, seeds=known())
    return decide(found, platform, platform.repositories[0], NOW).statuses[identity()]


def test_accounts_of_a_seed_are_shown_once_it_is_in_use_and_in_public_only_if_the_platform_says_so() -> None:
    logins = (Login("ada@example.com", "shop manager", "1Password, item Previews"), Login("bob`@acme/all"))
    need = replace(NEED, seed_options=SeedOptions(logins=logins))
    made = changed(spec(1), services=(replace(SERVICE, needs=(need,)),), seeds=(SEED,))
    shown = status_of(made)
    assert shown.logins == (
        "Log in as `ada@example.com` (shop manager), password: 1Password, item Previews",
        "Log in as `bob'@acme/all`",
    )
    text = comment_text(shown, HERE, private=True)
    assert "Log in as `ada@example.com` (shop manager), password: 1Password, item Previews. Log in as `bob" in text
    assert "@acme/all" not in re.sub("<code>.*?</code>", "", cmarkgfm.github_flavored_markdown_to_html(text))
    assert "Log in" not in comment_text(shown, HERE, private=False)
    public = replace(HERE, seeds=replace(HERE.seeds, public_logins=True))
    assert "Log in as `ada@example.com`" in comment_text(shown, public, private=False)
    assert "Log in" not in comment_text(replace(shown, stage=Stage.REMOVED), public, private=True)
    assert status_of(changed(made, seeds=())).logins == (), "the database did not start from the seed"


def test_pods_without_a_seed_do_not_change() -> None:
    values: Any = parameters(changed(spec(1), services=(SEEDED,)), HERE)["values"]
    assert not {"seed", "resets"} & values["services"]["shop"]["needs"]["db"].keys()
    assert REPOSITORY.services[0].needs == ()


def served(holds: EngineState, *services: Service, seeds: SeedFacts | None = None, **changes: Any) -> PreviewSpec:
    """Return the spec that is served after a pass with these services in the configuration."""
    platform = replace(HERE, repositories=(replace(SHOP, services=services),))
    found = facts(built_pull_request(1, **changes), holds=holds, seeds=seeds or known())
    planned = decide(found, platform, platform.repositories[0], NOW)
    before = holds.sets[identity().repository_id].specs[1]
    return next((a.spec for a in planned.plan.actions if isinstance(a, Change)), before)


def test_data_keeps_its_seed_while_a_renamed_service_waits_for_a_person() -> None:
    holds = held(Data(holders={"db": "a"}, seeds=(SEED,)), Life("db", "a"))
    data = served(holds, replace(SEEDED, name="store")).data
    assert (data.seeds, data.generation, data.resets) == ((SEED,), 1, 0)


def test_data_keeps_its_seed_while_a_removed_database_waits_for_a_person() -> None:
    holds = held(Data(holders={"db": "a"}, seeds=(SEED,)), Life("db", "a"))
    assert served(holds, replace(SEEDED, needs=())).data.seeds == (SEED,)


VOLUME = replace(NEED, storage=Storage.PERSISTENT, seed_options=SeedOptions(mode=SeedMode.COPY))


def newer_server() -> SeedFacts:
    name = f"registry.example.com/seeds:{SeedInputs('postgresql', '17', BASE[:-2] + '17', DUMP).tag}"
    copied = f"registry.example.com/seeds:{SeedInputs('postgresql', '17', BASE[:-2] + '17', DUMP, 'copy').tag}"
    images = dict.fromkeys((name, copied), Present(digest("17")))
    return SeedFacts(
        {Source("acme/shop", sha(1)): Tree({"seed/shop.sql": DUMP}, NONE)}, images, {digest("17"): SeedLabel()}
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (NEED, replace(NEED, version="17")),
        (VOLUME, replace(VOLUME, version="17")),
        (VOLUME, replace(VOLUME, seed_options=SeedOptions())),
        (VOLUME, replace(VOLUME, seed="", seed_options=SeedOptions())),
        (VOLUME, replace(VOLUME, image="registry.example.com/own:1")),
    ],
    ids=["version", "version on a volume", "mode on a volume", "seed removed", "own image"],
)
def test_configuration_that_replaces_seeded_data_waits_for_a_person(before: Need, after: Need) -> None:
    platform = replace(HERE, repositories=(replace(SHOP, services=(replace(SEEDED, needs=(before,)),)),))
    holds = held(Data(holders={"db": "a"}, seeds=(SEED,)), Life("db", "a"), platform=platform)
    platform = replace(HERE, repositories=(replace(SHOP, services=(replace(SEEDED, needs=(after,)),)),))
    found = facts(built_pull_request(1), holds=holds, seeds=newer_server())
    planned = decide(found, platform, platform.repositories[0], NOW).plan
    hold = planned.holds[identity()]
    assert "lose the data of shop's db" in hold.reason.text
    kept = next(
        (a.spec for a in planned.actions if isinstance(a, Change)), holds.sets[identity().repository_id].specs[1]
    )
    assert kept.data == Data(holders={"db": "a"}, seeds=(SEED,))
    assert kept.services == holds.sets[identity().repository_id].specs[1].services


UNSEEDED = replace(NEED, seed="", storage=Storage.PERSISTENT)


def on_a_volume(after: Need) -> tuple[EngineState, Platform]:
    """A preview whose volume did not start from a seed, and the configuration after a change."""
    before = replace(HERE, repositories=(replace(SHOP, services=(replace(SEEDED, needs=(UNSEEDED,)),)),))
    holds = held(Data(holders={"db": "a"}), Life("db", "a"), platform=before)
    return holds, replace(HERE, repositories=(replace(SHOP, services=(replace(SEEDED, needs=(after,)),)),))


@pytest.mark.parametrize(("follow", "renew"), [(False, False), (True, False), (False, True), (True, True)])
def test_volume_without_a_seed_keeps_its_data(follow: bool, renew: bool) -> None:
    holds, platform = on_a_volume(replace(VOLUME, seed_options=SeedOptions(mode=SeedMode.COPY, follow=follow)))
    before = holds.sets[identity().repository_id].specs[1]
    assert seeds.wanted(platform.repositories[0], built_pull_request(1), before, platform, renew=renew) == ()


def test_seed_that_takes_the_place_of_a_volume_waits_for_a_person() -> None:
    holds, platform = on_a_volume(replace(VOLUME, version="17"))
    found = facts(built_pull_request(1), holds=holds, seeds=newer_server())
    planned = decide(found, platform, platform.repositories[0], NOW).plan
    assert "lose the data of shop's db" in planned.holds[identity()].reason.text


@pytest.mark.parametrize("tree", ["acme/private returned 404.", Tree({})])
def test_name_of_another_repository_is_in_no_comment(tree: Tree | str) -> None:
    options = SeedOptions(repository="acme/private", branch="stable")
    elsewhere = replace(SHOP, services=(replace(SEEDED, needs=(replace(NEED, seed_options=options),)),))
    read = replace(known(), trees={Source("acme/private", "stable"): tree})
    for seen in (read, SeedFacts()):
        found = verdict(seen, platform=replace(HERE, repositories=(elsewhere,)))
        assert isinstance(found, Stay)
        assert "private" not in str(found.reason)


def test_follower_keeps_its_data_when_the_image_of_the_same_dump_was_built_again() -> None:
    follows = replace(NEED, seed_options=SeedOptions(follow=True))
    platform = replace(HERE, repositories=(replace(SHOP, services=(replace(SEEDED, needs=(follows,)),)),))
    holds = held(Data(3, {"db": "a"}, seeds=(SEED,)), Life("db", "a"), platform=platform)
    again = replace(known(state=Present(digest("again"))), labels={digest("again"): SeedLabel()})
    assert runs(verdict(again, holds, platform)).spec.data == Data(3, {"db": "a"}, seeds=(SEED,))


@pytest.mark.parametrize("state", [Missing(), Unknown("The registry returned 503.")])
def test_follower_of_an_unchanged_dump_needs_no_registry(state: Missing | Unknown) -> None:
    follows = replace(NEED, seed_options=SeedOptions(follow=True))
    platform = replace(HERE, repositories=(replace(SHOP, services=(replace(SEEDED, needs=(follows,)),)),))
    holds = held(Data(3, {"db": "a"}, seeds=(SEED,)), Life("db", "a"), platform=platform)
    assert runs(verdict(known(state=state), holds, platform)).spec.data.seeds == (SEED,)


def test_second_reset_before_the_new_container_is_seen_waits_for_the_same_container() -> None:
    once = data_generation.reset(Data(1, {"db": "a"}, seeds=(SEED,)), NOW)
    made = changed(spec(1), **vars_of(once))
    twice = data_generation.reset(
        data_generation.data(made, replace(preview(1, made), lives=(Life("db", "a"),)), NOW), NOW
    )
    after = changed(spec(1), **vars_of(twice))
    for container in ("a", "b"):
        seen = data_generation.data(after, replace(preview(1, after), lives=(Life("db", container),)), NOW)
        after = changed(spec(1), **vars_of(seen))
    assert (after.data.generation, after.data.holders) == (3, {"db": "b"})


def test_services_that_restart_once_more_after_a_reset_do_not_change_who_replaced_the_data() -> None:
    made = changed(spec(1), **vars_of(data_generation.reset(Data(1, {"db": "a"}), NOW)), by="ada")
    early = replace(preview(1, made), lives=(Life("db", "b", overtaken=True),))
    data = data_generation.data(made, early, NOW + timedelta(minutes=1))
    assert (data.generation, data.by, data.reset_at) == (3, "ada", NOW)

"""A catalog that changes while Greenroom runs: what was renamed lives on, what left is forgotten."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from typing import Any

import pytest
import yaml

from greenroom.demo.outside import Eyes, demand, until
from greenroom.demo.play import SERVE
from greenroom.demo.stage import Stage, stage


@pytest.fixture
async def played() -> AsyncIterator[tuple[Stage, Eyes]]:
    async with stage(None, SERVE, keep=False) as found:
        yield found, Eyes(found)


def calls(scene: Stage, slug: str) -> None:
    """The services of payments are in that repository, as the configuration says."""
    service = scene.platform / "services" / "payments.yaml"
    service.write_text(yaml.safe_dump(yaml.safe_load(service.read_text()) | {"repository": slug}))


def checked_out(scene: Stage, slug: str) -> None:
    """Another name of the repository of payments has a checkout too; known from the next start on."""
    main = scene.platform / "greenroom.yaml"
    changed = json.loads(main.read_text())
    changed["local"]["checkouts"][slug] = str(scene.shop.folder / "payments")
    main.write_text(json.dumps(changed))


async def asked(scene: Stage, command: str) -> Any:
    code, text = await scene.command(command, "--json")
    demand(code == 0, text)
    return json.loads(text)


def noted(scene: Stage, number: int) -> list[str]:
    """Every hold of a pull request of payments that history has, whatever it was called."""
    query = "SELECT repository || ' ' || text FROM events WHERE kind = 'held' AND number = ? ORDER BY id"
    with closing(sqlite3.connect(scene.state / "history.sqlite3")) as history:
        return [text for (text,) in history.execute(query, (number,))]


@pytest.mark.parametrize("restarted", [False, True], ids=["while it runs", "before a start"])
async def test_what_was_renamed_on_github_is_held_for_its_names_alone(
    played: tuple[Stage, Eyes], restarted: bool
) -> None:
    """As the sentence asks, `repository:` is changed; `payments` is not a valid repository that left, it is `billing`."""
    scene, eyes = played
    checked_out(scene, "shop/billing")
    await asyncio.to_thread(scene.stop)
    await scene.start()
    sha = scene.shop.commit("payments", "idea", "2")
    number = scene.world.open_pull_request("shop/payments", head="idea", sha=sha, by="ada").number
    scene.push_image("payments", sha)
    scene.world.label("shop/payments", number, "preview", "ada")
    await until(lambda: eyes.says("payments", number, "ready"))
    scene.world.rename_repository("shop/payments", "shop/billing")

    async def reported() -> str:
        _, text = await scene.command("list")
        demand("payments: shop/payments is now called shop/billing on GitHub. Change `repository:`" in text, text)
        return text

    await until(reported)
    if restarted:
        await asyncio.to_thread(scene.stop)
    calls(scene, "shop/billing")
    if restarted:
        await scene.start()
    await until(lambda: eyes.says("billing", number, "held", f"greenroom release billing#{number}"))
    for branch in ("one", "two", "three"):  # each is a pass over what is held
        scene.world.open_pull_request("shop/billing", head=branch, sha=sha, by="ada")
    last = f"billing#{number + 3}"

    async def seen() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await asked(scene, "list"))["previews"]
        demand(last in [p["name"] for p in found], f"{last} was not seen yet")
        return found

    async def held() -> str:
        names = [str(p["name"]) for p in await seen() if p["hold"].startswith("config-names")]
        demand(names == [f"billing#{number}"], str(names))
        return names[0]

    name = await until(held)
    assert {p["repository"] for p in await seen()} == {"billing"}, "and nothing is there twice"
    assert "payments" not in [r["name"] for r in (await asked(scene, "list"))["repositories"]]
    code, text = await scene.command("release", "--yes", name)
    assert code == 0, text
    await until(lambda: eyes.says("billing", number, "ready"), 40)
    host = f"payments-pr-{number}.preview.localhost"
    assert host in eyes.comment("billing", number)
    [once] = noted(scene, number)
    assert once.startswith("billing The new configuration would make this preview move from `preview-payments-")


async def test_a_name_that_left_the_catalog_leaves_its_trouble_behind(played: tuple[Stage, Eyes]) -> None:
    scene, _ = played

    async def says(*names: str) -> str:
        _, text = await scene.command("list")
        troubles = [
            line.partition(":")[0] for line in text.splitlines() if ": GitHub does not show the repository" in line
        ]
        demand(troubles == [*names], text)
        return text

    calls(scene, "shop/nonesuch")
    await until(lambda: says("nonesuch"))
    calls(scene, "shop/payments")
    await until(says)
    names = {r["name"] for r in (await asked(scene, "list"))["repositories"]}
    assert names == {"catalog", "payments", "storefront"}


async def test_recreated_repository_starts_once_a_person_released_what_the_old_one_left(
    played: tuple[Stage, Eyes],
) -> None:
    scene, eyes = played
    sha = scene.shop.commit("payments", "idea", "2")
    scene.push_image("payments", sha)

    def labeled() -> int:
        number = scene.world.open_pull_request("shop/payments", head="idea", sha=sha, by="ada").number
        scene.world.label("shop/payments", number, "preview", "ada")
        return number

    number = labeled()
    await until(lambda: eyes.says("payments", number, "ready"))
    old = f"payments@{scene.world.repository('shop/payments').id}#{number}"
    scene.world.delete_repository("shop/payments")
    scene.world.collaborator("shop/payments", "ada", "write")
    assert labeled() == number
    await until(lambda: eyes.says("payments", number, "blocked", f"greenroom release {old}"))

    async def listed() -> str:
        found = {p["name"]: p for p in (await asked(scene, "list"))["previews"]}
        demand(old in found and found[old]["hold"] == "replaced", str(sorted(found)))
        return old

    await until(listed)
    code, text = await scene.command("release", "--yes", old)
    assert code == 0, text
    await until(lambda: eyes.says("payments", number, "ready"), 40)

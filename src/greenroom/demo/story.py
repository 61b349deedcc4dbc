"""Steps of the story. Each one does what a person, CI or an accident does, and returns the observed result."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from greenroom.demo.outside import Eyes, NotSeen, demand, until
from greenroom.demo.stage import CACHE, ON_STAGING, Stage

PREVIEW = "preview"
LIST_DISAGREES = "does not show this pull request as open and labeled"
TROUBLE = "Nothing is removed until it can be read again"
KEPT = "Kept through the push"  # a product that only the catalog of the first pull request has
WARNED, EXPIRED = timedelta(days=2, hours=1), timedelta(days=1, minutes=5)
PASSES = WARNED + EXPIRED  # how far the story moves GitHub's clock


@dataclass(frozen=True, slots=True)
class Step:
    """One step: its name, the title that people read while it runs, and the function that plays and judges it."""

    name: str
    about: str
    play: Callable[[Stage, Eyes], Awaitable[str]]


def pull_request(
    stage: Stage,
    name: str,
    branch: str,
    release: str,
    by: str = "ada",
    title: str = "",
    files: Mapping[str, str] | None = None,
) -> tuple[int, str]:
    """Open a pull request with one commit. Return its number and that commit."""
    sha = stage.shop.commit(name, branch, release, files)
    title = title or f"{branch} ({name})"
    return stage.world.open_pull_request(f"shop/{name}", head=branch, sha=sha, by=by, title=title).number, sha


def next_second(stage: Stage) -> None:
    """Move GitHub's clock on. Greenroom holds a removal in the second of the request, because nobody can say which of
    the two came last.
    """
    stage.world.advance(timedelta(seconds=1))


async def label(stage: Stage, eyes: Eyes) -> str:
    """Label a pull request without an image. Check that it waits and that its comment reports this."""
    number, sha = pull_request(stage, "catalog", "faster-search", "2")
    stage.noted.update({"catalog": number, "catalog sha": sha})
    stage.world.label("shop/catalog", number, PREVIEW, "ada")
    await until(lambda: eyes.says("catalog", number, "waiting", sha[:7]))
    demand(not eyes.processes("catalog", number), "something runs although no image exists")
    return f"catalog#{number}: the comment says that the image of {sha[:7]} is missing, and nothing runs"


async def ready(stage: Stage, eyes: Eyes) -> str:
    """Push the image. Check the page and the seeded rows over HTTP."""
    number = stage.noted["catalog"]
    stage.push_image("catalog", stage.noted["catalog sha"])
    page = await until(lambda: eyes.answers("catalog", number), 40)
    found = await eyes.products(number)
    seen = [(p["id"], p["name"], p["cents"]) for p in found["products"]]
    demand(seen == stage.shop.seeded_products(), f"the rows are not those of the seed: {seen[:2]}...")
    demand("release 2" in page, "the page is not of the commit")
    await until(lambda: eyes.says("catalog", number, "ready"))
    cache = (await eyes.products(number))["cache"]
    demand(cache == ("hit" if CACHE else "no cache"), f"the cache says {cache!r}")
    of_its_own = ", from a cache of its own" if CACHE else ""
    return f"the page of release 2 shows {len(seen)} seeded products, migrated{of_its_own}; the comment says ready"


async def _worker_runs(eyes: Eyes, number: int) -> None:
    """Check that the worker keeps writing, and that it writes the average of the prices on the page."""
    before, _ = await until(lambda: eyes.price_index(number))

    async def again() -> int:
        prices = [p["cents"] for p in (await eyes.products(number))["products"]]
        runs, average = await eyes.price_index(number)
        demand(runs > before, f"the worker of catalog#{number} ran {runs} times and no more")
        demand(average == int(sum(prices) / len(prices) + 0.5), f"the worker wrote {average} for {prices}")
        return runs

    await until(again)


async def push(stage: Stage, eyes: Eyes) -> str:
    """Push a commit. Check for a new version at the same address, kept data, a running worker, no failed request."""
    number = stage.noted["catalog"]
    await _worker_runs(eyes, number)
    added = await eyes.post("catalog", number, "/products", {"name": KEPT, "cents": 1})
    demand(added.status_code == 201, f"POST returns {added.status_code}")
    sha = stage.shop.commit("catalog", "faster-search", "3")
    stage.world.push("shop/catalog", number, sha, "ada")
    await until(lambda: eyes.says("catalog", number, "waiting", "keeps running"))
    stage.push_image("catalog", sha)
    statuses: list[int] = []

    async def new_version() -> str:
        response = await eyes.get("catalog", number, "/products")
        statuses.append(response.status_code)
        demand(response.json().get("release") == "3", "the old version is still served")
        return response.text

    await until(new_version, 30)
    demand(set(statuses) == {200}, f"requests failed during the update: {sorted(set(statuses))}")
    names = [p["name"] for p in (await eyes.products(number))["products"]]
    demand(KEPT in names, "the row that was added before the push is missing")
    await _worker_runs(eyes, number)
    await until(lambda: eyes.says("catalog", number, "ready", sha[:7]))
    kept = "the added row is still there, the worker writes"
    return f"release 3 at the same address, {kept}, {len(statuses)} requests, none failed"


async def second(stage: Stage, eyes: Eyes) -> str:
    """Open a pull request in a second repository. Check that it uses catalog and payments from staging."""
    number, sha = pull_request(stage, "storefront", "new-header", "2", by="grace")
    stage.noted["storefront"] = number
    stage.push_image("storefront", sha)
    stage.world.label("shop/storefront", number, PREVIEW, "grace")
    page = await until(lambda: eyes.answers("storefront", number), 30)
    demand("Card, Invoice, Gift card" in page, "the storefront does not show what staging's payments return")
    demand(ON_STAGING in page, "the storefront does not show the products of staging's catalog")
    await until(lambda: eyes.says("storefront", number, "ready", "payments from **staging**"))
    return f"storefront#{number} answers, with catalog and payments from staging"


async def _shows(eyes: Eyes, storefront: int, product: str, other: str) -> str:
    """Return the storefront's page. Raise `NotSeen` unless it shows the catalog with `product` and not `other`."""
    page = await eyes.answers("storefront", storefront)
    demand(product in page and other not in page, f"storefront#{storefront} shows another catalog: {page[-300:]}")
    return page


async def linked(stage: Stage, eyes: Eyes) -> str:
    """Point the storefront by a comment to the other pull request's catalog, back to staging, and there again."""
    catalog, number = stage.noted["catalog"], stage.noted["storefront"]
    there = (f"catalog#{catalog}", KEPT, ON_STAGING, f"catalog/pull/{catalog})** (grace chose it)")
    back = ("catalog staging", ON_STAGING, KEPT, "**staging** (grace chose it)")
    await _shows(eyes, number, ON_STAGING, KEPT)
    for target, product, other, words in (there, back, there):
        stage.world.comment("shop/storefront", number, f"/preview use {target}", "grace")
        await until(lambda p=product, o=other: _shows(eyes, number, p, o), 30)  # type: ignore[misc]  # bound now
        await until(lambda w=words: eyes.says("storefront", number, "ready", w))  # type: ignore[misc]
    await until(lambda: eyes.says("catalog", catalog, "ready", f"Used by [storefront#\u200b{number}]"))
    return (
        f"storefront#{number} showed the products of catalog#{catalog}, of staging, and of catalog#{catalog} again;"
        " both comments said so"
    )


async def paired(stage: Stage, eyes: Eyes) -> str:
    """Use one branch name in both repositories. Check that the previews link without a command until one closes."""
    catalog, first = stage.noted["catalog"], stage.noted["storefront"]
    number, sha = pull_request(stage, "storefront", "faster-search", "3", by="ada")
    stage.push_image("storefront", sha)
    stage.world.label("shop/storefront", number, PREVIEW, "ada")
    await until(lambda: _shows(eyes, number, KEPT, ON_STAGING), 30)
    await until(lambda: eyes.says("storefront", number, "ready", "same branch"))
    await until(lambda: eyes.says("catalog", catalog, "ready", f"storefront/pull/{number})"))
    next_second(stage)
    stage.world.close("shop/storefront", number, "ada")
    await until(lambda: eyes.gone("storefront", number), 30)
    await until(lambda: _used_by(eyes, catalog, first, number))
    return f"storefront#{number} used catalog#{catalog} automatically until it was closed; both comments said so"


async def _used_by(eyes: Eyes, catalog: int, storefront: int, gone: int) -> str:
    text = await eyes.says("catalog", catalog, "ready", "Used by", f"storefront/pull/{storefront})")
    demand(f"storefront/pull/{gone})" not in text, "the catalog's comment still names who used it")
    return text


async def accidents(stage: Stage, eyes: Eyes) -> str:
    """Let GitHub answer 500, then HTML, then an empty list. Check that the dashboard says why nothing is removed."""
    catalog, storefront = stage.noted["catalog"], stage.noted["storefront"]
    before = eyes.processes("catalog", catalog) | eyes.processes("storefront", storefront)
    faults, seen = stage.world.faults, []
    for name, words in (
        ("server-error", "GitHub returned 500"),
        ("html", "instead of JSON"),
        ("empty-list", LIST_DISAGREES),
    ):
        count = faults.fired[name]
        faults.on(name, path="graphql")

        async def hit(name: str = name, count: int = count, words: str = words) -> str:
            demand(faults.fired[name] >= count + 2, f"{name} did not hit twice")
            page = await eyes.dashboard()
            demand(words in page, f"the dashboard does not say {words!r}")
            demand(words == LIST_DISAGREES or TROUBLE in page, f"the dashboard does not say {TROUBLE!r}")
            return words

        await until(hit, 40)
        faults.off(name)
        after = eyes.processes("catalog", catalog) | eyes.processes("storefront", storefront)
        demand(after == before, f"{name}: other processes run than before")
        await eyes.answers("catalog", catalog)
        await eyes.answers("storefront", storefront)
        seen.append(f"{name} x{faults.fired[name] - count}")
    await until(lambda: _quiet(eyes), 30)
    return f"{', '.join(seen)}: the same {len(before)} processes ran, both pages responded, and the dashboard said why"


async def _quiet(eyes: Eyes) -> str:
    page = await eyes.dashboard()
    demand(TROUBLE not in page, "the dashboard still shows trouble")
    demand(LIST_DISAGREES not in page, "the dashboard still shows the empty list")
    return page


async def configuration(stage: Stage, eyes: Eyes) -> str:
    """Change `label:` in the configuration. Check that the previews are held and listed, then change it back."""
    catalog, storefront = stage.noted["catalog"], stage.noted["storefront"]
    before = eyes.processes("catalog", catalog) | eyes.processes("storefront", storefront)
    stage.configure(label="review-app")
    await until(lambda: eyes.says("catalog", catalog, "held", "`label:` changed from"))
    await until(lambda: eyes.says("storefront", storefront, "held", "`label:` changed from"))
    code, listed = await stage.command("release")
    held = {f"catalog#{catalog}", f"storefront#{storefront}"}
    demand(code == 0 and all(h in listed for h in held), f"`greenroom release` does not list both: {listed}")
    stage.configure()
    await until(lambda: eyes.says("catalog", catalog, "ready"))
    await until(lambda: eyes.says("storefront", storefront, "ready"))
    after = eyes.processes("catalog", catalog) | eyes.processes("storefront", storefront)
    demand(after == before, "other processes run than before")
    return f"both were held and listed, then ready again, with the same {len(before)} processes"


async def many(stage: Stage, eyes: Eyes) -> str:
    """Unlabel six pull requests within a minute. Check that three previews are removed and three wait for a person."""
    numbers = []
    for index in range(6):
        number, sha = pull_request(stage, "payments", f"idea-{index}", f"{index + 2}", by="linus")
        stage.push_image("payments", sha)
        stage.world.label("shop/payments", number, PREVIEW, "linus")
        numbers.append(number)
    for number in numbers:
        await until(lambda n=number: eyes.answers("payments", n, "/methods"), 60)  # type: ignore[misc]  # bound now
        await until(lambda n=number: eyes.says("payments", n, "ready"))  # type: ignore[misc]
    next_second(stage)
    for number in numbers:
        stage.world.unlabel("shop/payments", number, PREVIEW, "linus")

    async def three_and_three() -> str:
        living = [n for n in numbers if eyes.processes("payments", n)]
        demand(len(living) == 3, f"{len(living)} of six still run")
        for number in living:
            await eyes.says("payments", number, "held", f"greenroom release payments#{number}")
        return ",".join(map(str, living))

    waiting = [int(n) for n in (await until(three_and_three, 40)).split(",")]
    for number in waiting:
        await eyes.answers("payments", number, "/methods")
    for number in set(numbers) - set(waiting):
        await until(lambda n=number: eyes.gone("payments", n))  # type: ignore[misc]
    code, output = await stage.command("release", "--yes", *(f"payments#{n}" for n in waiting))
    demand(code == 0, f"`greenroom release` ended with {code}: {output}")
    for number in waiting:
        await until(lambda n=number: eyes.gone("payments", n), 30)  # type: ignore[misc]
    return "three were removed; three were held and kept running, and were removed once they were released by name"


async def killed(stage: Stage, eyes: Eyes) -> str:
    """Run kill -9, delete the history and start again. Check that nothing changes and no second comment appears."""
    catalog, storefront = stage.noted["catalog"], stage.noted["storefront"]
    before = eyes.processes("catalog", catalog) | eyes.processes("storefront", storefront)
    bodies = [eyes.comment("catalog", catalog), eyes.comment("storefront", storefront)]
    stage.kill()
    removed = list(stage.state.glob("history.sqlite3*"))
    for path in removed:
        path.unlink()
    demand(removed, "there was no history to delete")
    await stage.start()
    await until(lambda: _read_by(stage), 20)
    await until(lambda: eyes.answers("catalog", catalog))
    await until(lambda: eyes.answers("storefront", storefront))
    await asyncio.sleep(3)  # enough time for a mistake to show: Greenroom resyncs every 2 s
    after = eyes.processes("catalog", catalog) | eyes.processes("storefront", storefront)
    demand(after == before, f"other processes run than before: {sorted(after)} instead of {sorted(before)}")
    now = [eyes.comment("catalog", catalog), eyes.comment("storefront", storefront)]
    demand(now == bodies, "a comment changed although nothing happened")
    return f"the same {len(before)} processes, one comment each, unchanged"


async def _read_by(stage: Stage) -> str:
    response = await stage.client.get(f"http://127.0.0.1:{stage.ports['metrics']}/readyz")
    demand(response.status_code == 200, "the restarted Greenroom has not read every repository yet")
    return "read"


async def inactivity(stage: Stage, eyes: Eyes) -> str:
    """Let days pass at GitHub without activity. Check that a preview is warned, unlabeled, then removed. Keep two."""
    catalog, storefront = stage.noted["catalog"], stage.noted["storefront"]
    stage.world.label("shop/catalog", catalog, "preview-keep", "ada")
    stage.world.label("shop/storefront", storefront, "preview-keep", "grace")
    number, sha = pull_request(stage, "payments", "an-idea", "9", by="linus")
    stage.push_image("payments", sha)
    stage.world.label("shop/payments", number, PREVIEW, "linus")
    await until(lambda: eyes.says("payments", number, "ready"), 30)
    stage.world.advance(WARNED)
    await until(lambda: eyes.says("payments", number, "expiring", "without activity"))
    demand(PREVIEW in eyes.labels("payments", number), "the label was removed without a warning")
    await eyes.answers("payments", number, "/methods")
    stage.world.advance(EXPIRED)

    async def unlabeled() -> str:
        demand(PREVIEW not in eyes.labels("payments", number), "the label is still on")
        return "off"

    await until(unlabeled, 30)
    await until(lambda: eyes.gone("payments", number), 30)
    await until(lambda: eyes.says("payments", number, "removed", "there was no activity"))
    await eyes.answers("catalog", catalog)
    await eyes.answers("storefront", storefront)
    return f"payments#{number} was warned a day ahead, lost its label, and was removed; the two kept previews still run"


async def close(stage: Stage, eyes: Eyes) -> str:
    """Close the pull request that another one uses. Check that its preview is gone and the other uses staging again."""
    number, storefront = stage.noted["catalog"], stage.noted["storefront"]
    await _shows(eyes, storefront, KEPT, ON_STAGING)
    demand(await eyes.databases("catalog", number), "the preview has no database to begin with")
    demand(await eyes.worktrees("catalog"), "the preview has no worktree to begin with")
    stage.world.close("shop/catalog", number, "ada")
    await until(lambda: _shows(eyes, storefront, ON_STAGING, KEPT))
    back = (f"grace chose with /preview use catalog#\u200b{number} exists", "catalog from **staging**")
    await until(lambda: eyes.says("storefront", storefront, "ready", *back))
    await until(lambda: eyes.gone("catalog", number))
    told = ("closed by ada", "continues without it", "storefront")
    await until(lambda: eyes.says("catalog", number, "removed", *told))
    trees = await eyes.worktrees("catalog")
    demand(trees == 0, f"git still lists {trees} worktrees")
    left = "has no processes, database or worktree left, and its address returns 404"
    return f"storefront#{storefront} uses staging again, and both comments say so; catalog#{number} {left}"


STEPS = (
    Step("label", "A developer labels a pull request; CI has not pushed an image yet", label),
    Step("ready", "CI pushes the image", ready),
    Step("push", "The developer pushes again", push),
    Step("second", "A pull request in a second repository", second),
    Step("linked", "A comment links the second preview to the catalog of the first", linked),
    Step("paired", "A branch of the same name in both repositories", paired),
    Step("accidents", "GitHub returns a 500, then HTML, then an empty list", accidents),
    Step("configuration", "A person changes `label:` in the configuration, and changes it back", configuration),
    Step("many", "Six labeled pull requests lose the label within a minute", many),
    Step("killed", "Greenroom is killed, its database is deleted, and Greenroom restarts", killed),
    Step("inactivity", "Three days pass without activity", inactivity),
    Step("close", "A pull request is closed while another preview uses its preview", close),
)

__all__ = ["STEPS", "NotSeen", "Step"]

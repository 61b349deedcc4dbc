"""From one version of a preview to the next: what serves goes on serving until the next one has proved itself."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from builders import changed
from greenroom.core.model.catalog import Process
from greenroom.core.model.engine import Health
from greenroom.local import processes
from greenroom.local.crashes import RESTARTS
from greenroom.local.engine import LocalEngine
from local.workshop import IDENTITY, Workshop, get, quiet, seen, until, wait

ONCE = {"extra": "import itertools; asked = itertools.count()", "status": "500 if next(asked) else 200"}
"""It answers its own probe, and nobody after that."""


async def test_a_version_that_fails_at_the_switch_leaves_the_old_one_serving(shop: Workshop) -> None:
    first, second, third = shop.commit("1"), shop.commit("2", **ONCE), shop.commit("3")
    async with LocalEngine(shop.settings, quiet) as engine:
        await engine.serve(shop.preview_set(shop.spec(first), 1))
        await wait(engine, Health.READY)
        before = shop.pids()
        await engine.serve(shop.preview_set(shop.spec(second), 2))
        found = await wait(engine, Health.FAILED)
        assert found.why == "web does not respond through the proxy (500)."
        assert [s.sha for s in found.services] == [first]
        assert (await get(engine)).json()["release"] == "1"
        assert shop.pids() == before
        await engine.serve(shop.preview_set(shop.spec(third), 3))
        await wait(engine, Health.READY, third)
        assert (await get(engine)).json()["release"] == "3"
        assert not set(before) & set(shop.pids())


async def test_a_version_that_once_gives_no_answer_at_the_switch_is_probed_again(shop: Workshop) -> None:
    sha = shop.commit(
        "1", extra="import itertools; asked = itertools.count()", status="200 if next(asked) != 1 else 1 / 0"
    )
    async with LocalEngine(shop.settings, quiet) as engine:
        await engine.serve(shop.preview_set(shop.spec(sha), 1))
        assert (await wait(engine, Health.READY)).why == ""
        assert (await get(engine)).json()["release"] == "1"


async def test_a_first_version_that_fails_at_the_switch_serves_nobody(shop: Workshop) -> None:
    sha = shop.commit("1", **ONCE)
    async with LocalEngine(shop.settings, quiet) as engine:
        await engine.serve(shop.preview_set(shop.spec(sha), 1))
        found = await wait(engine, Health.FAILED)
        assert [s.sha for s in found.services] == [""]
        assert shop.pids() == []
        assert (await get(engine)).status_code == 503
        assert (await seen(engine)).health is Health.FAILED


async def test_what_was_not_the_commit_s_fault_is_tried_again_at_the_next_start(shop: Workshop) -> None:
    sha = shop.commit("1")
    async with LocalEngine(replace(shop.settings, checkouts={}), quiet) as engine:
        await engine.serve(shop.preview_set(shop.spec(sha), 1))
        found = await wait(engine, Health.FAILED)
        assert found.why == (
            "There is no checkout of acme/shop here."
            " Set the path of a checkout under `local.checkouts` in greenroom.yaml, and restart Greenroom."
        )
        assert found.fix == "No push is needed. Greenroom retries when it restarts."
    async with LocalEngine(shop.settings, quiet) as engine:
        found = await wait(engine, Health.READY, sha)
        assert (found.why, found.fix) == ("", "")


async def test_what_a_push_fixes_says_nothing_of_the_machine(shop: Workshop) -> None:
    sha = shop.commit("1", extra="raise SystemExit('boom')")
    async with LocalEngine(shop.settings, quiet) as engine:
        await engine.serve(shop.preview_set(shop.spec(sha), 1))
        assert (await wait(engine, Health.FAILED)).fix == ""


MINUTE = ("python", "-c", "import os, time; open(os.environ['HOME'] + '/migrating', 'a').write('.'); time.sleep(60)")
HANGS: dict[str, dict[str, Any]] = {
    "it migrates": {"migrate": MINUTE, "migrate_timeout": timedelta(minutes=5)},
    "it is probed": {"processes": (Process("web", command=("sleep", "60"), port=80),)},
}


async def begun(shop: Workshop, besides: Sequence[int] = ()) -> None:
    """Wait until something of the version that hangs runs."""

    async def runs() -> bool:
        return any("sleep" in processes.command(pid) for pid in shop.pids() if pid not in besides)

    await until(runs)


@asynccontextmanager
async def hanging(shop: Workshop, first: str, hangs: dict[str, Any]) -> AsyncIterator[LocalEngine]:
    """A version serves, and the next one hangs."""
    second = shop.commit("2")
    async with LocalEngine(replace(shop.settings, probe_seconds=300), quiet) as engine:
        await engine.serve(shop.preview_set(shop.spec(first), 1))
        await wait(engine, Health.READY)
        before = shop.pids()
        await engine.serve(shop.preview_set(shop.spec(second, **hangs), 2))
        await begun(shop, before)
        yield engine


@pytest.mark.parametrize("hangs", HANGS.values(), ids=HANGS)
async def test_a_push_is_tried_at_once_while_the_last_one_hangs(shop: Workshop, hangs: dict[str, Any]) -> None:
    first, third = shop.commit("1"), shop.commit("3")
    async with hanging(shop, first, hangs) as engine:
        assert (await get(engine)).json()["release"] == "1"
        await engine.serve(shop.preview_set(shop.spec(third), 3))
        await wait(engine, Health.READY, third)
        assert (await get(engine)).json()["release"] == "3"
        assert len(shop.pids()) == 1, "nothing of the other two runs"


@pytest.mark.parametrize("hangs", HANGS.values(), ids=HANGS)
async def test_return_to_the_serving_version_is_ready_immediately(shop: Workshop, hangs: dict[str, Any]) -> None:
    first = shop.commit("1")
    async with hanging(shop, first, hangs) as engine:
        serving = shop.record().serving
        assert serving is not None
        await engine.serve(shop.preview_set(shop.spec(first), 3))
        found = await wait(engine, Health.READY, first)
        assert (found.why, shop.pids()) == ("", [p.pid for p in serving.processes])


async def test_return_to_the_serving_version_clears_the_failure(shop: Workshop) -> None:
    first, second = shop.commit("1"), shop.commit("2", extra="raise SystemExit('boom')")
    async with LocalEngine(shop.settings, quiet) as engine:
        await engine.serve(shop.preview_set(shop.spec(first), 1))
        await wait(engine, Health.READY)
        await engine.serve(shop.preview_set(shop.spec(second), 2))
        await wait(engine, Health.FAILED)
        await engine.serve(shop.preview_set(shop.spec(first), 3))
        assert (await wait(engine, Health.READY, first)).log == ()
        await engine.serve(shop.preview_set(shop.spec(second), 4))
        await wait(engine, Health.FAILED)


async def test_what_hangs_can_be_put_to_sleep(shop: Workshop) -> None:
    spec = shop.spec(shop.commit("1"), **HANGS["it is probed"])
    async with LocalEngine(replace(shop.settings, probe_seconds=300), quiet) as engine:
        await engine.serve(shop.preview_set(spec, 1))
        await begun(shop)
        await engine.serve(shop.preview_set(changed(spec, asleep=True), 2))
        await wait(engine, Health.READY)
        assert shop.pids() == []


async def test_another_title_ends_nothing_that_is_under_way(shop: Workshop) -> None:
    spec = shop.spec(shop.commit("1"), **HANGS["it migrates"])
    async with LocalEngine(shop.settings, quiet) as engine:
        await engine.serve(shop.preview_set(spec, 1))
        await begun(shop)
        before = shop.pids()
        await engine.serve(shop.preview_set(changed(spec, author="grace"), 2))
        await engine.serve(shop.preview_set(None, 3))
        assert (await seen(engine)).health is Health.STARTING
        assert shop.pids() == before


FALLS = """
import threading
def die():
    while not os.path.exists(os.environ["HOME"] + "/die"):
        time.sleep(0.01)
    os._exit(3)
threading.Thread(target=die).start()
"""


async def test_a_push_fixes_at_once_what_crashes_again_and_again(shop: Workshop) -> None:
    first, second = shop.commit("1", extra=FALLS), shop.commit("2")
    async with LocalEngine(shop.settings, quiet) as engine:
        await engine.serve(shop.preview_set(shop.spec(first), 1))
        await wait(engine, Health.READY)
        (shop.run_as.home / "previews" / "7-1" / "home" / "die").touch()

        async def waits_ten_seconds() -> bool:
            return engine._previews[IDENTITY]._watch._crashes._counts["web"] == RESTARTS.index(10.0) + 1

        await until(waits_ten_seconds, 60)
        await engine.serve(shop.preview_set(shop.spec(second), 2))
        async with asyncio.timeout(8):
            await wait(engine, Health.READY, second)


SLOW = """
if os.path.exists(os.environ["HOME"] + "/fell"):
    time.sleep(1.5)
""" + FALLS.replace("os._exit", "os.rename(os.environ['HOME'] + '/die', os.environ['HOME'] + '/fell'); os._exit")


async def test_what_came_back_late_is_ready_once_it_answers(shop: Workshop) -> None:
    sha = shop.commit("1", extra=SLOW)
    async with LocalEngine(replace(shop.settings, probe_seconds=1), quiet) as engine:
        await engine.serve(shop.preview_set(shop.spec(sha), 1))
        await wait(engine, Health.READY)
        (shop.run_as.home / "previews" / "7-1" / "home" / "die").touch()

        async def too_late() -> bool:
            return "is not healthy after 1 s" in (await seen(engine)).why

        await until(too_late)
        [again] = shop.pids()
        assert (await wait(engine, Health.READY)).why == ""
        assert shop.pids() == [again]


async def test_services_of_one_preview_reach_each_other_during_the_first_start(shop: Workshop) -> None:
    """`/` of the site needs the API, and both start at once: neither waits until the whole preview is ready."""
    calls = (
        "import urllib.request\n"
        "def called():\n"
        "    if os.environ['ROLE'] != 'site': return 200\n"
        "    asked = urllib.request.Request(os.environ['PROXY'], headers={'Host': 'api-pr-1.preview.localhost'})\n"
        "    try: return urllib.request.urlopen(asked, timeout=5).status\n"
        "    except OSError: return 500\n"
    )
    sha = shop.commit("1", extra=calls, status="called()")
    async with LocalEngine(shop.settings, quiet) as engine:
        spec = shop.spec(sha)
        [web] = spec.services
        proxy = ("PROXY", f"http://127.0.0.1:{engine.proxy_port}/")
        site = replace(web, env=(("ROLE", "site"), proxy))
        api = replace(web, name="api", env=(("ROLE", "api"),))
        hosts = {**spec.names.hosts, "api": "api-pr-1.preview.localhost"}
        versions = (*spec.build.versions, replace(spec.build.versions[0], service="api"))
        both = changed(spec, services=(site, api), versions=versions, hosts=hosts)
        await engine.serve(shop.preview_set(both, 1))
        assert (await wait(engine, Health.READY, seconds=60)).why == ""


DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)"
"""It ends only when it is killed."""


async def test_earlier_version_is_ending_until_its_processes_have_ended(shop: Workshop) -> None:
    first, second = shop.commit("1", extra=DEAF), shop.commit("2")
    woken: list[int] = []
    async with LocalEngine(shop.settings, woken.append) as engine:
        await engine.serve(shop.preview_set(shop.spec(first), 1))
        assert not (await wait(engine, Health.READY)).services[0].ending
        [old] = shop.pids()
        await engine.serve(shop.preview_set(shop.spec(second), 2))
        [web] = (await wait(engine, Health.READY, second)).services
        assert old in shop.pids(), "it is told to end, and does not"
        assert (web.ready, web.outdated, web.ending) == (True, False, True)
        told = len(woken)
        os.kill(old, signal.SIGKILL)

        async def ended() -> bool:
            return not (await seen(engine)).services[0].ending

        await until(ended)
        assert old not in shop.pids()
        await until(lambda: _longer(woken, told))


async def _longer(woken: list[int], told: int) -> bool:
    """Whether the loop was woken since: whoever waits for the end hears of it."""
    return len(woken) > told


async def test_after_a_restart_an_earlier_version_is_ending_until_its_processes_have_ended(shop: Workshop) -> None:
    first, second = shop.commit("1", extra=DEAF), shop.commit("2")
    async with LocalEngine(shop.settings, quiet) as engine:
        await engine.serve(shop.preview_set(shop.spec(first), 1))
        await wait(engine, Health.READY)
        [old] = shop.pids()
        await engine.serve(shop.preview_set(shop.spec(second), 2))
        await wait(engine, Health.READY, second)
    assert old in shop.pids(), "it was interrupted before the old version ended"
    async with LocalEngine(shop.settings, quiet) as engine:
        assert (await seen(engine)).services[0].ending

        async def ended() -> bool:
            return not (await seen(engine)).services[0].ending

        await until(ended)
        assert old not in shop.pids()

        async def forgotten() -> bool:
            return shop.record().ending == ()

        await until(forgotten)

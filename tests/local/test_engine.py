"""The local engine with real git, real processes and a real PostgreSQL."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx2
import psycopg
import pytest

from builders import changed
from greenroom.core import messages
from greenroom.core.model.catalog import Need, Process, ProcessKind, SharedNeed
from greenroom.core.model.engine import Cause, EngineState, Health, Ledger, Withdrawal
from greenroom.core.model.spec import Link, PreviewSpec
from greenroom.core.model.verdicts import Desired, Go
from greenroom.core.planning.plan import plan
from greenroom.errors import Doubt, Failed
from greenroom.local import account, processes
from greenroom.local.engine import LocalEngine
from greenroom.local.names import database_prefix, folder_of, mark_of
from greenroom.local.postgres import Postgres
from greenroom.local.state import State
from local.workshop import IDENTITY, NEED, NOW, SEED, Workshop, get, names, quiet, seen, until, wait


async def test_instance_that_lost_the_lock_of_its_state_folder_writes_nothing(shop: Workshop) -> None:
    async with LocalEngine(shop.settings, lambda repository_id: None) as engine:
        async with engine.writing():
            pass
        lock = shop.settings.state / "lock"
        for again in (False, True):
            lock.touch() if again else lock.unlink()
            with pytest.raises(Doubt, match="was removed or replaced, so"):
                async with engine.writing():
                    raise AssertionError("written")


async def test_a_preview_answers_with_its_own_environment_only(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_SECRET_OF_OURS", "s3cret")
    sha = shop.commit("1")
    async with LocalEngine(shop.settings, quiet) as engine:
        links = (Link("web", "payments", (("url", "PAYMENTS_URL"),), "http://payments.example.com", ""),)
        await engine.serve(shop.preview_set(shop.spec(sha, env=(("COLOUR", "green"),), targets=links), 1))
        await wait(engine, Health.READY)
        environment = (await get(engine)).json()["environment"]
        allowed = {"PATH", "LANG", "HOME", "TMPDIR", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"}
        allowed |= {"PORT", "VERSION", "COLOUR", "PAYMENTS_URL", "GREENROOM_PREVIEW", "LC_CTYPE"}
        assert set(environment) <= allowed
        assert (environment["COLOUR"], environment["PAYMENTS_URL"]) == ("green", "http://payments.example.com")


async def test_preview_calls_the_hosts_that_its_serving_version_was_started_with(shop: Workshop) -> None:
    sha = shop.commit("1")

    def linked(host: str, sha: str) -> PreviewSpec:
        return shop.spec(
            sha,
            targets=(
                Link("web", "payments", (("url", "PAYMENTS_URL"),), f"http://127.0.0.1/{host}", f"http://{host}:80"),
            ),
        )

    async with LocalEngine(shop.settings, quiet) as engine:
        await engine.serve(shop.preview_set(linked("payments-pr-17.preview.localhost", sha), 1))
        assert (await seen(engine)).calls == frozenset(), "nothing runs yet"
        await wait(engine, Health.READY)
        assert (await seen(engine)).calls == {"payments-pr-17.preview.localhost"}
        broken = shop.commit("2", status=500)
        await engine.serve(shop.preview_set(linked("payments.staging", broken), 2))
        await wait(engine, Health.UPDATING)
        assert (await seen(engine)).calls == {"payments-pr-17.preview.localhost"}, "the old version still serves"
        await engine.serve(shop.preview_set(linked("payments.staging", sha), 3))
        await wait(engine, Health.READY)
        assert (await seen(engine)).calls == {"payments.staging"}


async def test_the_proxy_knows_only_previews_and_passes_bodies(shop: Workshop) -> None:
    sha = shop.commit("1")
    async with LocalEngine(shop.settings, quiet) as engine:
        assert (await get(engine, "other.preview.localhost")).status_code == 404
        await engine.serve(shop.preview_set(shop.spec(sha), 1))
        assert (await get(engine)).status_code in (200, 503)
        await wait(engine, Health.READY)
        async with httpx2.AsyncClient(trust_env=False) as client:
            url = f"http://127.0.0.1:{engine.proxy_port}/"
            sent = await client.post(url, content=b"x" * 300_000, headers={"host": "web-pr-1.preview.localhost"})
        assert (sent.status_code, len(sent.content)) == (201, 300_000)
        assert sent.headers["x-robots-tag"] == "noindex"


async def test_asleep_no_process_runs_and_the_data_is_kept_for_the_morning(shop: Workshop) -> None:
    sha = shop.commit("1", seed__sql=SEED)
    async with LocalEngine(shop.settings, quiet) as engine:
        await engine.serve(shop.preview_set(shop.spec(sha, needs=NEED), 1))
        await wait(engine, Health.READY)
        url = (await get(engine)).json()["environment"]["DATABASE_URL"]
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            await connection.execute("INSERT INTO things VALUES ('three')")
        await engine.serve(shop.preview_set(changed(shop.spec(sha, needs=NEED), asleep=True), 2))

        async def asleep() -> bool:
            [preview] = (await engine.observe()).previews.values()
            return not any(s.sha for s in preview.services)

        await until(asleep)
        assert not shop.pids()
        await engine.serve(shop.preview_set(shop.spec(sha, needs=NEED), 3))
        await wait(engine, Health.READY, sha)
        async with await psycopg.AsyncConnection.connect(
            (await get(engine)).json()["environment"]["DATABASE_URL"]
        ) as back:
            assert await names(back) == ["one", "three", "two"]


async def test_a_database_in_parts_and_the_same_one_for_another_service(shop: Workshop) -> None:
    sha = shop.commit("1", seed__sql=SEED)
    parts = ("host", "port", "user", "password", "database")
    need = replace(NEED[0], variables=tuple((part, f"PG_{part.upper()}") for part in parts))
    shared = SharedNeed("web", "db", (("url", "THEIRS"),))
    spec = shop.spec(sha, needs=(need,))
    other = replace(spec.services[0], name="api", needs=(), shared_needs=(shared,))
    hosts = {**spec.names.hosts, "api": "api-pr-1.preview.localhost"}
    version = replace(spec.build.versions[0], service="api")
    spec = changed(
        spec,
        services=(spec.services[0], other),
        versions=(*spec.build.versions, version),
        names=replace(spec.names, hosts=hosts),
    )
    async with LocalEngine(shop.settings, quiet) as engine:
        await engine.serve(shop.preview_set(spec, 1))
        await wait(engine, Health.READY)
        own = (await get(engine)).json()["environment"]
        theirs = (await get(engine, "api-pr-1.preview.localhost")).json()["environment"]
    host, port, user, password, database = (own[f"PG_{part.upper()}"] for part in parts)
    assert theirs["THEIRS"] == f"postgresql://{user}:{password}@{host}:{port}/{database}"
    assert "DATABASE_URL" not in own | theirs


async def test_data_begins_at_the_seed_and_outlives_a_push_but_not_a_reset(shop: Workshop) -> None:
    first, second = shop.commit("1", seed__sql=SEED), shop.commit("2", seed__sql=SEED)
    async with LocalEngine(shop.settings, quiet) as engine:
        await engine.serve(shop.preview_set(shop.spec(first, needs=NEED), 1))
        await wait(engine, Health.READY)
        url = (await get(engine)).json()["environment"]["DATABASE_URL"]
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            assert await names(connection) == ["one", "two"]
            await connection.execute("INSERT INTO things VALUES ('three')")
            await connection.execute("ALTER TABLE things ADD COLUMN note text")
            superuser = await connection.execute("SELECT usesuper FROM pg_user WHERE usename = current_user")
            assert await superuser.fetchone() == (False,)
        await engine.serve(shop.preview_set(shop.spec(second, needs=NEED), 2))
        await wait(engine, Health.READY, second)
        assert (await get(engine)).json()["environment"]["DATABASE_URL"] == url
        async with await psycopg.AsyncConnection.connect(url) as connection:
            assert await names(connection) == ["one", "three", "two"]
        await engine.serve(shop.preview_set(shop.spec(second, needs=NEED, generation=2), 3))

        async def reset() -> bool:
            try:
                async with await psycopg.AsyncConnection.connect(url) as connection:
                    return await names(connection) == ["one", "two"]
            except psycopg.Error:
                return False

        await until(reset)


FAILING = {
    "migration": (
        {"migrate": ("python", "-c", "print('no such column'); exit(3)")},
        "failed (exit code 3)",
        "no such column",
    ),
    "slow migration": (
        {"migrate": ("sleep", "60"), "migrate_timeout": timedelta(seconds=0.3)},
        "took longer than",
        "",
    ),
    "seed": (
        {"needs": (Need("db", "postgresql", "16", (("url", "DATABASE_URL"),), seed="bad.sql"),)},
        "could not be restored: line 2",
        "nowhere",
    ),
    "seed missing": (
        {"needs": (Need("db", "postgresql", "16", (("url", "DATABASE_URL"),), seed="no.sql"),)},
        "cannot be read",
        "",
    ),
    "other need": ({"needs": (Need("q", "rabbitmq", "4", (("url", "URL"),)),)}, "does not offer rabbitmq", ""),
    "crash": (
        {"processes": (Process("web", command=("python", "-c", "raise SystemExit('boom')"), port=1),)},
        "exited during startup",
        "boom",
    ),
    "no program": ({"processes": (Process("web", command=("no-such-program",), port=1),)}, "could not be started", ""),
}


@pytest.mark.parametrize(("changes", "why", "line"), FAILING.values(), ids=FAILING)
async def test_a_failure_says_why_and_keeps_the_old_version(
    shop: Workshop, changes: dict[str, object], why: str, line: str
) -> None:
    first, second = shop.commit("1"), shop.commit("2", bad__sql="SELECT 1;\nINSERT INTO nowhere VALUES (1);\n")
    async with LocalEngine(shop.settings, quiet) as engine:
        await engine.serve(shop.preview_set(shop.spec(first), 1))
        await wait(engine, Health.READY)
        await engine.serve(shop.preview_set(shop.spec(second, **changes), 2))
        found = await wait(engine, Health.FAILED)
        assert why in found.why
        ran = why in ("failed (exit code 3)", "took longer than", "exited during startup")
        assert found.failing == ("web" if ran else ""), "only what the image did is its fault"
        of_configuration = "correct `command` in the configuration of `web` (services/web.yaml)"
        assert (of_configuration in found.fix) is (why == "could not be started")
        assert line in "\n".join(found.log)
        assert (await get(engine)).json()["release"] == "1"
        assert [s.sha for s in found.services] == [first]
        await engine.serve(shop.preview_set(shop.spec(second), 3))
        await wait(engine, Health.READY, second)


async def test_a_service_that_is_never_healthy(shop: Workshop) -> None:
    sha = shop.commit("1", status=500)
    async with LocalEngine(replace(shop.settings, probe_seconds=0.5), quiet) as engine:
        await engine.serve(shop.preview_set(shop.spec(sha), 1))
        found = await wait(engine, Health.FAILED)
        assert "is not healthy" in found.why
        assert "it responds with 500" in found.why
        assert shop.pids() == []


async def test_what_crashes_is_started_again(shop: Workshop) -> None:
    sha = shop.commit("1")
    async with LocalEngine(shop.settings, quiet) as engine:
        await engine.serve(shop.preview_set(shop.spec(sha), 1))
        await wait(engine, Health.READY)
        [pid] = shop.pids()
        os.kill(pid, 9)
        await wait(engine, Health.FAILED)
        await wait(engine, Health.READY)
        assert shop.pids() != [pid]
        assert (await get(engine)).status_code == 200


async def test_a_restart_finds_what_runs(shop: Workshop) -> None:
    sha = shop.commit("1", seed__sql=SEED)
    async with LocalEngine(shop.settings, quiet) as engine:
        await engine.serve(shop.preview_set(shop.spec(sha, needs=NEED), 1))
        await wait(engine, Health.READY)
        before, uid = shop.pids(), (await seen(engine)).uid
    assert shop.pids() == before
    async with LocalEngine(shop.settings, quiet) as engine:
        found = await wait(engine, Health.READY)
        assert (found.uid, shop.pids()) == (uid, before)
        assert (await get(engine)).status_code == 200


async def test_a_server_that_is_only_starting_is_found_and_waited_for(shop: Workshop) -> None:
    shop.settings.state.mkdir()
    ours = account.account(shop.settings.state)
    killed = Postgres(shop.settings.state, ours)
    starting = asyncio.create_task(killed.postmaster.server())
    async with asyncio.timeout(60):
        while not (ours.home / "postgres" / "postmaster.pid").exists():
            await asyncio.sleep(0.001)
    starting.cancel()
    await asyncio.gather(starting, return_exceptions=True)
    assert not await Postgres(shop.settings.state, ours).exists("nothing")


async def test_what_a_killed_run_had_asked_of_the_server_ends_before_the_next_asks(shop: Workshop) -> None:
    shop.settings.state.mkdir()
    ours = account.account(shop.settings.state)
    killed = Postgres(shop.settings.state, ours)
    async with killed._connection() as connection:
        asked = asyncio.create_task(connection.execute("SELECT pg_sleep(30)"))
        async with killed._connection() as other:
            query = "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%%' AND state = 'active'"
            async with asyncio.timeout(60):
                while not await (await other.execute(query)).fetchone():
                    await asyncio.sleep(0.01)
        assert not await Postgres(shop.settings.state, ours).exists("nothing")
        with pytest.raises(psycopg.OperationalError, match="terminating connection"):
            await asked


async def test_a_database_and_its_role_are_dropped_by_several_sessions_at_once(shop: Workshop) -> None:
    shop.settings.state.mkdir()
    postgres = Postgres(shop.settings.state, account.account(shop.settings.state))
    for _ in range(10):
        await asyncio.gather(*(postgres._role("twice", "secret") for _ in range(4)))
        await asyncio.gather(*(postgres.drop("twice") for _ in range(4)))
        assert await postgres.named("twice") == []


KILLED = Path(__file__).parent / "killed_process.py"


@pytest.mark.parametrize("started", [0, 1, 2])
async def test_killed_in_the_middle_it_converges_without_a_duplicate(shop: Workshop, started: int) -> None:
    import pickle

    sha = shop.commit("1", extra="time.sleep(0.4)", seed__sql=SEED)
    worker = Process("worker", ProcessKind.WORKER, ("sleep", "1000"))
    web = Process("web", command=("python", "server.py"), port=80)
    spec = shop.spec(sha, needs=NEED, processes=(web, worker))
    pickled = shop.folder / "given"
    pickled.write_bytes(pickle.dumps((shop.settings, shop.preview_set(spec, 1))))
    child = await asyncio.create_subprocess_exec(sys.executable, str(KILLED), "serve", str(pickled))

    async def begun() -> bool:
        assert child.returncode is None
        return bool(list((shop.folder / "state" / "previews").glob("*.json"))) and len(shop.pids()) >= started

    await until(begun)
    child.kill()
    await child.wait()
    async with LocalEngine(shop.settings, quiet) as engine:
        await wait(engine, Health.READY)
        assert len(shop.pids()) == 2
        await engine.serve(shop.preview_set(None, 2))
        await engine.remove(IDENTITY, (await seen(engine)).uid)
        assert (await engine.receipt(IDENTITY)).clean


async def test_removal_needs_the_spec_out_and_the_right_uid(shop: Workshop) -> None:
    sha = shop.commit("1")
    async with LocalEngine(shop.settings, quiet) as engine:
        await engine.serve(shop.preview_set(shop.spec(sha), 1))
        uid = (await wait(engine, Health.READY)).uid
        with pytest.raises(Doubt, match="still exists"):
            await engine.remove(IDENTITY, uid)
        await engine.serve(shop.preview_set(None, 2))
        with pytest.raises(Doubt, match="replaced by another one"):
            await engine.remove(IDENTITY, "another")
        assert (await get(engine)).status_code == 200
        await engine.remove(IDENTITY, uid)
        await engine.remove(IDENTITY, uid)
        assert shop.pids() == []
        assert (await engine.receipt(IDENTITY)).clean
        assert (await get(engine)).status_code == 404


def next_steps(observed: EngineState) -> list[str]:
    """What the plan does next about a preview whose pull request is closed and whose spec is out."""
    ledger = Ledger(withdrawals=(Withdrawal(IDENTITY, Cause.CLOSED, NOW, "ada"),))
    go = Go(Cause.CLOSED, messages.closed("ada"), "ada", NOW)
    steps = plan(Desired({IDENTITY: go}), observed, replace(observed.sets[7], ledger=ledger), NOW).actions
    return [type(step).__name__ for step in steps]


@pytest.mark.parametrize("wanted_again", [False, True], ids=["as it was", "its label came back meanwhile"])
async def test_a_removal_that_was_killed_continues_with_the_next_process(shop: Workshop, wanted_again: bool) -> None:
    import pickle

    sha = shop.commit("1", extra="import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)", seed__sql=SEED)
    spec = shop.spec(sha, needs=NEED)
    pickled = shop.folder / "given"
    pickled.write_bytes(pickle.dumps((shop.settings, shop.preview_set(spec, 1), shop.preview_set(None, 2))))
    child = await asyncio.create_subprocess_exec(sys.executable, str(KILLED), "remove", str(pickled))

    async def begun() -> bool:
        return any('"removing"' in f.read_text() for f in (shop.folder / "state" / "previews").glob("*.json"))

    await until(begun)
    child.kill()
    await child.wait()
    [pid] = shop.pids()
    started = processes.started(pid) or ""
    if wanted_again:  # the set was written, and then it was killed
        State(shop.settings.state).write_specs(shop.preview_set(spec, 3))
    async with LocalEngine(shop.settings, quiet) as engine:
        assert (await seen(engine)).health is Health.REMOVING

        async def gone() -> bool:
            return not processes.alive(pid, started)

        await until(gone)
        if wanted_again:
            await wait(engine, Health.READY)
            await engine.serve(shop.preview_set(None, 4))
        await engine.remove(IDENTITY, next((p.uid for p in (await engine.observe()).previews.values()), "gone"))
        assert (await engine.observe()).previews == {}
        assert (await engine.receipt(IDENTITY)).clean


def git_that_fails_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `git` on PATH that does as git does, but fails to prune once for each time that the file it returns is made."""
    (folder / "bin").mkdir()
    fails = folder / "fails"
    script = f"""#!/bin/sh
case "$*" in
*prune*) if [ -e {fails} ]; then rm {fails}; echo "fatal: index.lock exists" >&2; exit 128; fi ;;
esac
exec {shutil.which("git")} "$@"
"""
    (folder / "bin" / "git").write_text(script)
    (folder / "bin" / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder / 'bin'}:{os.environ['PATH']}")
    return fails


async def test_a_removal_that_fails_says_why_and_is_tried_again(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    fails = git_that_fails_once(shop.folder, monkeypatch)
    sha = shop.commit("1", seed__sql=SEED)
    async with LocalEngine(shop.settings, quiet) as engine:
        await engine.serve(shop.preview_set(shop.spec(sha, needs=NEED), 1))
        uid = (await wait(engine, Health.READY)).uid
        await engine.serve(shop.preview_set(None, 2))
        assert next_steps(await engine.observe()) == ["Remove"]
        fails.touch()
        with pytest.raises(Failed, match=r"git could not remove a worktree of acme/shop: .*index.lock exists"):
            await engine.remove(IDENTITY, uid)
        assert (await seen(engine)).health is Health.FAILED
        assert "Its removal failed: git could not remove" in (await seen(engine)).why
        assert next_steps(await engine.observe()) == ["Remove"]
        assert (await get(engine)).status_code == 404
    async with LocalEngine(shop.settings, quiet) as engine:
        assert next_steps(await engine.observe()) == ["Remove"]
        await engine.remove(IDENTITY, uid)
        assert (await engine.receipt(IDENTITY)).clean


async def test_after_a_removal_that_failed_the_label_brings_it_back_from_its_seed(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    fails = git_that_fails_once(shop.folder, monkeypatch)
    sha = shop.commit("1", seed__sql=SEED)
    async with LocalEngine(shop.settings, quiet) as engine:
        await engine.serve(shop.preview_set(shop.spec(sha, needs=NEED), 1))
        uid = (await wait(engine, Health.READY)).uid
        await engine.serve(shop.preview_set(None, 2))
        fails.touch()
        with pytest.raises(Failed):
            await engine.remove(IDENTITY, uid)
        await engine.serve(shop.preview_set(shop.spec(sha, needs=NEED), 3))
        await wait(engine, Health.READY)
        url = (await get(engine)).json()["environment"]["DATABASE_URL"]
        async with await psycopg.AsyncConnection.connect(url) as connection:
            assert await names(connection) == ["one", "two"]


async def test_a_receipt_names_what_is_left(shop: Workshop) -> None:
    sha = shop.commit("1", seed__sql=SEED)
    async with LocalEngine(shop.settings, quiet) as engine:
        await engine.serve(shop.preview_set(shop.spec(sha, needs=NEED), 1))
        uid = (await wait(engine, Health.READY)).uid
        await engine.serve(shop.preview_set(None, 2))
        await engine.remove(IDENTITY, uid)
        receipt = await engine.receipt(IDENTITY)
        assert receipt.clean
        assert set(receipt.checked) == {"processes", "routes", "worktrees", "files", "state", "databases"}
        planted = subprocess.Popen(
            ["sleep", "60"], env={"GREENROOM_PREVIEW": mark_of("test", shop.settings.state, IDENTITY)}
        )
        ground = engine._ground
        folder_of(ground.run_as, IDENTITY).mkdir(parents=True)
        await ground.postgres.clone(f"{database_prefix(IDENTITY)}planted", "template0", "a" * 12)
        left = (await engine.receipt(IDENTITY)).left
        planted.kill()
        planted.wait()
        assert f"process {planted.pid}" in left
        assert "folder 7-1" in left
        assert f"database {database_prefix(IDENTITY)}planted" in left
        await ground.postgres.drop(f"{database_prefix(IDENTITY)}planted")


async def test_only_one_instance_at_a_time(shop: Workshop) -> None:
    async with LocalEngine(shop.settings, quiet):
        with pytest.raises(Failed, match="Another Greenroom is using"):
            async with LocalEngine(shop.settings, quiet):
                raise AssertionError("two at once")


async def test_a_broken_state_file_is_doubt(shop: Workshop) -> None:
    sha = shop.commit("1")
    async with LocalEngine(shop.settings, quiet) as engine:
        await engine.serve(shop.preview_set(shop.spec(sha), 1))
        await wait(engine, Health.READY)
    [file] = (shop.folder / "state" / "previews").glob("*.json")
    kept = file.read_text()
    file.write_text(kept[: len(kept) // 2])
    with pytest.raises(Doubt, match=file.name):
        async with LocalEngine(shop.settings, quiet):
            raise AssertionError("a broken file was read as nothing")
    file.write_text(kept)


async def test_an_older_generation_is_refused(shop: Workshop) -> None:
    async with LocalEngine(shop.settings, quiet) as engine:
        await engine.serve(shop.preview_set(None, 5))
        with pytest.raises(Doubt, match="is not newer"):
            await engine.serve(shop.preview_set(None, 5))

"""What a preview says of itself is shown to everybody who reads the pull request: no password is in it."""

from __future__ import annotations

from greenroom import logs
from greenroom.core.model.catalog import Need
from greenroom.core.model.engine import Health
from greenroom.local.engine import LocalEngine
from local.workshop import Workshop, get, quiet, wait

DIES = """
import threading
def die():
    while not os.path.exists(os.environ["HOME"] + "/die"):
        time.sleep(0.01)
    print("connecting to", os.environ["DATABASE_URL"], flush=True)
    print("with", os.environ["SECRET_WORD"], flush=True)
    os._exit(3)
threading.Thread(target=die).start()
"""
NEED = (Need("db", "postgresql", "16", (("url", "DATABASE_URL"), ("password", "SECRET_WORD"))),)


async def test_a_crash_shows_no_password_though_the_process_printed_it(shop: Workshop) -> None:
    sha = shop.commit("1", extra=DIES)
    async with LocalEngine(shop.settings, quiet) as engine:
        await engine.serve(shop.preview_set(shop.spec(sha, needs=NEED), 1))
        await wait(engine, Health.READY)
        password = (await get(engine)).json()["environment"]["SECRET_WORD"]
        (shop.run_as.home / "previews" / "7-1" / "home" / "die").touch()
        shown = await wait(engine, Health.FAILED)
        port = (shop.server()).port
        name = shop.record().databases[0]
        assert f"connecting to postgresql://[hidden]@127.0.0.1:{port}/{name}" in shown.log
        assert "with [hidden]" in shown.log
        assert password not in repr(shown)


async def test_a_password_of_an_earlier_run_is_known_too(shop: Workshop) -> None:
    sha = shop.commit("1", extra=DIES)
    async with LocalEngine(shop.settings, quiet) as engine:
        await engine.serve(shop.preview_set(shop.spec(sha, needs=NEED), 1))
        await wait(engine, Health.READY)
        [password] = shop.record().secrets.values()
    logs._secrets.discard(password)  # as in another process
    async with LocalEngine(shop.settings, quiet) as engine:
        await wait(engine, Health.READY)
        assert logs.scrub(f"with {password}") == "with [hidden]"

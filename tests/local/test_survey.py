"""`greenroom check` checks this machine for the local engine: checkouts and the versions of servers."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from greenroom import config
from greenroom.cli import main
from greenroom.core.model.engine import Health
from greenroom.local.engine import LocalEngine
from local.test_caches import CACHE, needs_server
from local.workshop import NEED, SEED, Workshop, quiet, seen, until, wait

LOCAL = {"installation": "test", "domain": "preview.localhost", "scheme": "http", "engine": "local"}
WEB = {"repository": "acme/web", "image": "r.example.com/web", "port": 8080}
CLONE = "Clone acme/web there, or set the path of an existing clone."


@pytest.fixture
def home() -> Iterator[Path]:
    """Return a folder that `nobody` can read, for a check by root."""
    made = Path(tempfile.mkdtemp())
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


def folder(home: Path, checkouts: dict[str, str], service: dict[str, Any] | None = None, **platform: Any) -> Path:
    made = home / "platform"
    (made / "services").mkdir(parents=True)
    (made / "greenroom.yaml").write_text(yaml.safe_dump({**LOCAL, "local": {"checkouts": checkouts}, **platform}))
    (made / "services" / "web.yaml").write_text(yaml.safe_dump({**WEB, **(service or {})}))
    return made


def clone(path: Path, *arguments: str) -> Path:
    path.mkdir(parents=True)
    subprocess.run(["git", "init", "--quiet", *arguments, str(path)], check=True)
    return path


def check(folder: Path, *arguments: str, **environment: str) -> Result:
    return CliRunner(env=environment).invoke(main, ["check", str(folder), *arguments])


@pytest.mark.parametrize(
    ("checkouts", "sentence"),
    [
        (
            {},
            "local.checkouts: has no path for acme/web, so its previews cannot start."
            " Add `acme/web: PATH`, where PATH is the path of a clone.",
        ),
        (
            {"acme/wep": "../clone"},
            "local.checkouts: has no path for acme/web, so its previews cannot start. Did you mean `acme/wep`?",
        ),
        ({"acme/web": "../nothing"}, f"local.checkouts.acme/web: HOME/nothing does not exist. {CLONE}"),
        ({"acme/web": "../plain"}, f"local.checkouts.acme/web: HOME/plain is not a git repository. {CLONE}"),
        ({"acme/web": "../file"}, f"local.checkouts.acme/web: HOME/file is not a folder. {CLONE}"),
        (
            {"acme/web": "../clone/inner"},
            f"local.checkouts.acme/web: HOME/clone/inner is a folder inside another git repository. {CLONE}",
        ),
    ],
)
def test_check_reports_a_checkout_that_is_missing_or_not_a_repository(
    checkouts: dict[str, str], sentence: str, home: Path
) -> None:
    (clone(home / "clone") / "inner").mkdir()
    (home / "plain").mkdir()
    (home / "file").write_text("")
    found = check(folder(home, checkouts))
    assert found.stderr == f"greenroom.yaml: {sentence.replace('HOME', str(home))}\n"
    assert found.exit_code == 2


@pytest.mark.parametrize("arguments", [(), ("--bare",)])
def test_clone_is_accepted_even_inside_a_git_hook(arguments: tuple[str, ...], home: Path) -> None:
    clone(home / "clone", *arguments)
    path = folder(home, {"acme/web": "../clone"})
    for environment in ({}, {"GIT_DIR": str(clone(home / "other") / ".git")}):
        found = check(path, **environment)
        assert (found.exit_code, found.stderr) == (0, "")


def test_check_reports_checkouts_together_with_all_other_mistakes(home: Path) -> None:
    found = check(folder(home, {"acme/web": "gone"}, {"needs": ["rabbitmq"]}), "--json")
    assert [m["path"] for m in json.loads(found.stdout)["mistakes"]] == ["needs.0", "local.checkouts.acme/web"]


def test_a_cluster_needs_no_checkouts(home: Path) -> None:
    chart = {"chart": "oci://r.example.com/preview", "chartVersion": "1"}
    assert check(folder(home, {"acme/web": "gone"}, engine="argocd", argocd=chart)).exit_code == 0


def test_checkout_that_disappears_for_a_while_does_not_stop_previews(home: Path) -> None:
    """`serve` reloads its configuration while it runs. The other repositories continue."""
    assert config.load(folder(home, {"acme/web": "gone"})).platform.repositories


# --- versions ---


def server(home: Path, name: str, said: str) -> str:
    """Return a PATH on which a local server reports another name or version."""
    programs = home / "programs"
    programs.mkdir(exist_ok=True)
    for each in (name, "initdb", "psql"):
        (programs / each).write_text(f"#!/bin/sh\necho '{said}'\n")
        (programs / each).chmod(0o755)
    return f"{programs}{os.pathsep}{os.environ['PATH']}"


SERVERS = {
    "postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)": ("postgres", "postgresql", "PostgreSQL"),
    "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64": ("redis-server", "redis", "Redis"),
    "Valkey server v=8.1.1 sha=00000000:0 malloc=libc bits=64": ("valkey-server", "valkey", "Valkey"),
}


@pytest.mark.parametrize(
    ("said", "version", "machine"),
    [
        ("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)", "17", "PostgreSQL 15.14"),
        ("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)", "15", ""),
        ("Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64", "8", "Redis 7.0.15"),
        ("Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64", "7", ""),
        ("Valkey server v=8.1.1 sha=00000000:0 malloc=libc bits=64", "9", "Valkey 8.1.1"),
        ("Valkey server v=8.1.1 sha=00000000:0 malloc=libc bits=64", "8", ""),
    ],
)
def test_check_warns_about_a_version_that_this_machine_does_not_have(
    said: str, version: str, machine: str, home: Path
) -> None:
    program, kind, title = SERVERS[said]
    clone(home / "clone")
    path = folder(
        home, {"acme/web": "../clone"}, {"needs": [kind, {"kind": kind, "name": "b", "version": version, "as": "B"}]}
    )
    found = check(path, PATH=server(home, program, said))
    wanted = f"{title} {version}"
    warned = (
        f"warning: services/web.yaml: needs.1.version: this machine has {machine}, so local previews run that"
        f" instead of {wanted}. Install {wanted}, or change `version`.\n"
    )
    assert found.stderr == (warned if machine else "")
    assert found.exit_code == 0


def test_on_a_cluster_the_version_is_that_of_the_image(home: Path) -> None:
    chart = {"chart": "oci://r.example.com/preview", "chartVersion": "1"}
    path = folder(home, {}, {"needs": [{"kind": "postgresql", "version": "17"}]}, engine="argocd", argocd=chart)
    assert check(path, PATH=server(home, "postgres", next(iter(SERVERS)))).stderr == ""


async def note(engine: LocalEngine) -> str:
    [service] = (await seen(engine)).services
    return service.note


async def test_preview_reports_that_its_database_has_another_version(shop: Workshop) -> None:
    sha = shop.commit("1", seed__sql=SEED)
    async with LocalEngine(shop.settings, quiet) as engine:
        await engine.serve(shop.preview_set(shop.spec(sha, needs=(replace(NEED[0], version="1"),)), 1))
        await wait(engine, Health.READY)
        version = shop.postmaster().version()
        assert version.removeprefix("PostgreSQL ").isdecimal()
        assert await note(engine) == f"db is this machine's {version}; on a cluster it is PostgreSQL 1"
    async with LocalEngine(
        replace(shop.settings, proxy_port=0), quiet
    ) as engine:  # the version is known after a restart too
        assert await note(engine) == f"db is this machine's {version}; on a cluster it is PostgreSQL 1"
        right = replace(NEED[0], version=version.removeprefix("PostgreSQL "))
        await engine.serve(shop.preview_set(shop.spec(sha, needs=(right,)), 2))

        async def silent() -> bool:
            return await note(engine) == ""

        await until(silent)


@needs_server
async def test_preview_reports_that_its_cache_has_another_version(shop: Workshop) -> None:
    async with LocalEngine(shop.settings, quiet) as engine:
        await engine.serve(shop.preview_set(shop.spec(shop.commit("1"), needs=(replace(CACHE, version="1"),)), 1))
        await wait(engine, Health.READY)
        said = await note(engine)
        assert said.startswith("redis is this machine's ")
        assert said.endswith("; on a cluster it is Redis 1")

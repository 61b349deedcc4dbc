"""`greenroom seed build` from outside: one process, a real registry, real servers, and other programs as judges."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import httpx2
import pytest

from greenroom.seeds import oci
from seeds.conftest import COLUMNS, DUMP, ROWS, Baked, RealRegistry
from seeds.proxies import link
from seeds.servers import owned_copy, running


class Builder:
    """Runs the command with one dump and one base image."""

    def __init__(self, home: RealRegistry, server: tuple[str, Path], work: Path, dump: str = DUMP) -> None:
        self.home, self.work, self.repository = home, work, f"run-{work.name.encode().hex()}/shop"
        self.dump = work / "dump.sql"
        self.dump.write_text(dump)
        (work / "seed.columns.yaml").write_text(COLUMNS)
        self.to = f"{home.host}/{self.repository}"
        self.arguments = [
            *(sys.executable, "-m", "greenroom", "seed", "build", str(self.dump), "--version", server[0]),
            *("--programs", str(server[1]), "--base", home.base, "--to", self.to, "--work", str(work)),
        ]
        self.environment = {**os.environ, "DOCKER_CONFIG": str(work), "GITHUB_OUTPUT": str(work / "output")}

    def run(self, *more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.arguments, *more], env=self.environment, capture_output=True, text=True, timeout=120
        )

    def start(self, *more: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*self.arguments, *more], env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def tags(self) -> list[str]:
        return httpx2.get(f"http://{self.home.host}/v2/{self.repository}/tags/list").json().get("tags") or []

    def config(self, image: str) -> dict[str, object]:
        blobs, manifests = (f"http://{self.home.host}/v2/{self.repository}/{kind}" for kind in ("blobs", "manifests"))
        manifest = httpx2.get(f"{manifests}/{image.partition('@')[2]}", headers={"accept": oci.MANIFEST}).json()
        return httpx2.get(f"{blobs}/{manifest['config']['digest']}").json()  # type: ignore[no-any-return]

    def leftovers(self) -> list[str]:
        return sorted(path.name for path in self.work.glob("greenroom-seed-*"))


@pytest.fixture
def builder(real_registry: RealRegistry, version: tuple[str, Path], work: Path) -> Builder:
    return Builder(real_registry, version, work)


def test_image_is_pushed_labeled_and_found_again_with_one_request(builder: Builder) -> None:
    layout = builder.work / "layout"
    done = builder.run("--layout", str(layout))
    assert done.returncode == 0, done.stderr
    phases = [line.split()[0] for line in done.stderr.splitlines()]
    assert phases == ["check", "initdb", "restore", "vacuum", "verify", "stop", "pack", "push"]
    image = done.stdout.strip().splitlines()[-1]
    assert (builder.work / "output").read_text() == f"image={image}\n"
    config = builder.config(image)
    label = json.loads(config["config"]["Labels"]["dev.greenroom.seed"])  # type: ignore[index]
    assert label["rows"] == ROWS
    assert label["base"] == builder.home.base
    assert label["base_digest"] == builder.home.base.partition("@")[2]
    git = subprocess.run(["git", "hash-object", "--no-filters", builder.dump], capture_output=True, text=True)
    assert label["dump"] == git.stdout.strip()
    assert builder.tags() == [label["tag"]]
    assert label["bytes"] > 1_000_000
    oci.validate(layout)
    assert not builder.leftovers()
    assert _requests_of_second_build(builder, image) == [
        f"HEAD /v2/{builder.repository}/manifests/{label['tag']} HTTP/1.1"
    ]
    _judge(image, layout, label["tag"], builder.work)


def _requests_of_second_build(builder: Builder, image: str) -> list[str]:
    import asyncio

    async def through_a_proxy() -> list[str]:
        async with link(builder.home.host, lambda line, at: "") as between:
            to = builder.to.replace(builder.home.host, between.host)
            arguments = [to if argument == builder.to else argument for argument in builder.arguments]
            child = await asyncio.create_subprocess_exec(
                *arguments, env=builder.environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
            )
            out, err = await child.communicate()
            assert out.decode().strip().partition("@")[2] == image.partition("@")[2], err.decode()
            return [line for line, _ in between.requests]

    return asyncio.run(through_a_proxy())


def _judge(image: str, layout: Path, tag: str, work: Path) -> None:
    """Let skopeo copy and inspect the image, which verifies every digest, if it is installed."""
    skopeo = shutil.which("skopeo")
    if not skopeo:
        return
    copied = subprocess.run(
        [skopeo, "--insecure-policy", "copy", "--src-tls-verify=false", f"docker://{image}", f"oci:{work / 'copied'}:{tag}"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert copied.returncode == 0, copied.stderr
    names = [
        subprocess.check_output([skopeo, "inspect", f"oci:{folder}:{tag}"]) for folder in (layout, work / "copied")
    ]
    assert json.loads(names[0])["Digest"] == json.loads(names[1])["Digest"] == image.partition("@")[2]


def test_umoci_unpacks_the_image_with_gzip(builder: Builder) -> None:
    umoci = shutil.which("umoci")
    if not umoci:
        pytest.skip("umoci is not installed (apt-get install umoci)")
    layout = builder.work / "layout"
    done = builder.run("--layout", str(layout), "--gzip", "--tag", "v1")
    assert done.returncode == 0, done.stderr
    bundle = builder.work / "bundle"
    unpack = [umoci, "unpack", *(["--rootless"] if os.geteuid() else []), "--image", f"{layout}:v1", str(bundle)]
    unpacked = subprocess.run(unpack, capture_output=True, text=True)
    assert unpacked.returncode == 0, unpacked.stderr
    data = bundle / "rootfs/var/lib/preview/pgdata"
    assert (bundle / "rootfs/etc/stock").read_text() == "yes\n"
    assert (data / "PG_VERSION").exists()
    if os.geteuid() == 0:
        assert (data.stat().st_uid, data.stat().st_mode & 0o777) == (999, 0o700)


@pytest.mark.parametrize("phase", ["restore", "pack"])
def test_killed_build_leaves_nothing_and_the_next_one_succeeds(builder: Builder, phase: str) -> None:
    child = builder.start()
    assert child.stderr
    assert any(line.startswith(phase) for line in iter(child.stderr.readline, ""))
    child.send_signal(signal.SIGKILL)
    child.communicate(timeout=10)
    assert builder.tags() == []
    assert len(builder.leftovers()) == 1
    _wait_until_no_process_is_in(builder.work)
    done = builder.run()
    assert done.returncode == 0, done.stderr
    assert len(builder.tags()) == 1
    assert not builder.leftovers()


def test_interrupted_build_cleans_up_itself(builder: Builder) -> None:
    child = builder.start()
    assert child.stderr
    assert any(line.startswith("initdb") for line in iter(child.stderr.readline, ""))
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=20)
    assert child.returncode == 130
    assert not builder.leftovers()
    _wait_until_no_process_is_in(builder.work)


def _wait_until_no_process_is_in(folder: Path) -> None:
    until = time.monotonic() + 15
    while time.monotonic() < until:
        found = subprocess.run(["pgrep", "-f", str(folder / "greenroom-seed-")], capture_output=True)
        if found.returncode:
            return
        time.sleep(0.05)
    raise AssertionError(f"a process still runs in {folder}")


CALLS = {
    "missing dump": ("{dump}.gone", [], 2, "cannot be read (no such file or directory). Check the path of the dump."),
    "migration without files": ("{dump}", ["--migrate", "true"], 2, "--migrate needs --migrations or --tag"),
    "wrong version": ("{dump}", ["--version", "14"], 2, "has PostgreSQL 18, but the seed is for 14."),
    "base of another architecture": ("{dump}", ["--base", "{foreign}"], 2, "is for s390x, but this machine is"),
    "base that does not exist": ("{dump}", ["--base", "{home}/base/none:1"], 2, "does not exist. Check its name."),
}


@pytest.mark.parametrize("name", CALLS)
def test_wrong_call_is_one_sentence(name: str, builder: Builder) -> None:
    dump, more, code, sentence = CALLS[name]
    values = {"dump": builder.dump, "foreign": builder.home.foreign, "home": builder.home.host}
    builder.arguments[5] = dump.format(**values)
    done = builder.run(*(argument.format(**values) for argument in more))
    assert (done.returncode, sentence in done.stderr) == (code, True), done.stderr
    assert "Traceback" not in done.stderr
    assert builder.tags() == []


@pytest.mark.parametrize("compress", ["gzip", "zstd"])
def test_damaged_compressed_dump_is_refused(builder: Builder, compress: str) -> None:
    from backports import zstd

    whole = gzip.compress(DUMP.encode()) if compress == "gzip" else zstd.compress(DUMP.encode())
    builder.dump.write_bytes(whole[:-10])
    done = builder.run()
    assert done.returncode == 1
    assert re.match(f"{builder.dump}: The {compress} data is (truncated|corrupt)", done.stderr), done.stderr
    assert builder.tags() == []


def test_migrations_name_another_image(builder: Builder) -> None:
    folder = builder.work / "migrations"
    folder.mkdir()
    (folder / "1.sql").write_text("ALTER TABLE customers ADD COLUMN age integer;\n")
    command = f"{builder.arguments[builder.arguments.index('--programs') + 1]}/psql -X -q -f {folder}/1.sql"
    plain, migrated = (builder.run(*more) for more in ([], ["--migrate", command, "--migrations", str(folder)]))
    assert (plain.returncode, migrated.returncode) == (0, 0), migrated.stderr
    assert len(builder.tags()) == 2
    labels = [
        json.loads(builder.config(done.stdout.strip())["config"]["Labels"]["dev.greenroom.seed"])  # type: ignore[index]
        for done in (plain, migrated)
    ]
    assert [len(label["migrated"]) for label in labels] == [0, 1]


RAILS = """
CREATE TABLE public.schema_migrations (version varchar PRIMARY KEY);
CREATE TABLE public.ar_internal_metadata (key varchar, value varchar);
INSERT INTO public.schema_migrations VALUES ('001'), ('002');
"""
PRISMA = """
CREATE TABLE public._prisma_migrations (migration_name text, checksum text, finished_at timestamptz,
    rolled_back_at timestamptz, started_at timestamptz);
INSERT INTO public._prisma_migrations VALUES ('1_orders', 'c', NULL, NULL, '2026-11-20 12:00:00+00');
"""


def checkout(work: Path) -> tuple[Path, str]:
    """A repository whose last commit has the migration 001 and not 002, and the blob id of 001."""
    folder = work / "checkout" / "db" / "migrate"
    folder.mkdir(parents=True)
    (folder / "001_orders.rb").write_text("orders")
    git = ["git", "-C", str(work / "checkout"), "-c", "user.name=t", "-c", "user.email=t@example.com"]
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "one"]):
        subprocess.run([*git, *arguments], check=True)
    (folder / "001_orders.rb").write_text("not committed")
    blob = subprocess.run([*git, "rev-parse", "HEAD:db/migrate/001_orders.rb"], capture_output=True, text=True).stdout
    return folder, blob.strip()


def test_image_records_the_migrations_that_ran_with_the_content_of_the_last_commit(builder: Builder) -> None:
    builder.dump.write_text(DUMP + RAILS)
    folder, blob = checkout(builder.work)
    done = builder.run("--checkout", str(folder))
    assert done.returncode == 0, done.stderr
    label = json.loads(builder.config(done.stdout.strip())["config"]["Labels"]["dev.greenroom.seed"])  # type: ignore[index]
    assert label["ledger"] == {"tool": "rails", "applied": [["001", ""], ["002", ""]]}
    assert label["migrations"] == {"tool": "rails", "applied": [["001", blob], ["002", ""]], "packages": ""}


@pytest.mark.parametrize(
    ("tables", "more", "sentence"),
    [
        (PRISMA, [], "contains unfinished or failed migrations: `1_orders`."),
        (
            RAILS,
            ["--checkout", "/"],
            "The dump has a migration table of Rails. /: the files of the commit cannot be read",
        ),
        ("", ["--folder", "db/none"], "The folder `db/none` does not exist or has no files."),
    ],
    ids=["unfinished", "no checkout", "no folder"],
)
def test_dump_whose_migrations_are_not_known_is_not_pushed(
    builder: Builder, tables: str, more: list[str], sentence: str
) -> None:
    builder.dump.write_text(DUMP + tables)
    done = builder.run(*more)
    assert (done.returncode, builder.tags()) == (2 if "--folder" in more else 1, []), done.stderr
    assert sentence in done.stderr


def test_refused_dump_is_not_restored_and_has_one_line_for_each_reason(builder: Builder) -> None:
    builder.dump.write_text(f"CREATE ROLE admin;\n{DUMP.replace('email text', 'email text, phone text')}")
    done = builder.run("--rows", "customers=3")
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert all(line.startswith(f"{builder.dump}: ") for line in lines)
    assert ["roles" in lines[0], "phone" in lines[1], "customers" in lines[2]] == [True] * 3, lines
    assert builder.tags() == []
    assert not builder.leftovers()


def test_columns_file_is_necessary_unless_its_absence_is_accepted(builder: Builder) -> None:
    named = builder.work / "named.yaml"
    (builder.work / "seed.columns.yaml").rename(named)
    done = builder.run()
    assert (done.returncode, "There is no seed.columns.yaml beside the dump." in done.stderr) == (1, True)
    assert builder.run("--columns", str(named)).returncode == 0
    builder.dump.write_text(DUMP.replace("ann", "eve"))
    assert builder.run("--no-columns").returncode == 0
    assert len(builder.tags()) == 2


def test_mode_restore_needs_no_server_and_leaves_the_dump_to_the_stock_image(
    builder: Builder, baked_18: Baked, work: Path
) -> None:
    layout = work / "layout"
    at = builder.arguments.index("--version")
    builder.arguments[at : at + 4] = ["--version", "17", "--mode", "restore"]  # no such server is on this machine
    builder.dump.write_bytes(gzip.compress(DUMP.encode()))
    done = builder.run("--layout", str(layout), "--gzip")
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stderr.splitlines()] == ["check", "push"]
    config = builder.config(done.stdout.strip())
    assert "PGDATA=/var/lib/postgresql/data" in config["config"]["Env"]  # type: ignore[index]
    assert json.loads(config["config"]["Labels"]["dev.greenroom.seed"])["rows"] == ROWS  # type: ignore[index]
    index = json.loads((layout / "index.json").read_bytes())
    manifest = json.loads(oci.blob_path(layout, index["manifests"][0]["digest"]).read_bytes())
    with tarfile.open(oci.blob_path(layout, manifest["layers"][-1]["digest"])) as archive:
        archive.extractall(work / "image", filter="data")
        [entry] = [each for each in archive if each.isfile()]
    assert (entry.name, entry.mode, entry.uid) == ("docker-entrypoint-initdb.d/seed.sql", 0o644, 0)
    with running(owned_copy(baked_18.data, work / "data"), baked_18.programs) as server:
        server.run("createdb", "-U", "postgres", "-O", "app", "stock")
        script = work / "image" / entry.name
        server.run("psql", "-v", "ON_ERROR_STOP=1", "--no-psqlrc", "-U", "postgres", "-d", "stock", "-f", str(script))
        counted = server.run(
            "psql", "-XAt", "-U", "postgres", "-d", "stock", "-c", 'SELECT count(*) FROM "Order Lines"'
        )
        assert counted == b"500\n"


def test_mode_restore_refuses_what_the_stock_image_cannot_run(builder: Builder, baked_18: Baked, work: Path) -> None:
    with running(owned_copy(baked_18.data, work / "data"), baked_18.programs) as server:
        server.run("pg_dump", "-U", "app", "-d", "app", "--no-owner", "--format=custom", "-f", str(work / "out"))
    shutil.copy(work / "out", builder.dump)
    done = builder.run("--mode", "restore")
    assert (done.returncode, builder.tags()) == (1, [])
    assert "`mode: restore` takes plain SQL, and this dump is in the format pg_dump custom" in done.stderr

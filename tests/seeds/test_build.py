"""`greenroom seed build` from outside: one process, a real registry, real servers, and other programs as judges."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import pytest

from greenroom.seeds import oci
from seeds.conftest import DUMP, ROWS, RealRegistry
from seeds.proxies import link


class Builder:
    """Runs the command with one dump and one base image."""

    def __init__(self, home: RealRegistry, server: tuple[str, Path], work: Path, dump: str = DUMP) -> None:
        self.home, self.work, self.repository = home, work, f"run-{work.name.encode().hex()}/shop"
        self.dump = work / "dump.sql"
        self.dump.write_text(dump)
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
    import gzip

    from backports import zstd

    whole = gzip.compress(DUMP.encode()) if compress == "gzip" else zstd.compress(DUMP.encode())
    builder.dump.write_bytes(whole[:-10])
    done = builder.run()
    assert done.returncode == 1
    assert "is truncated or corrupt: it cannot be decompressed completely. Dump the database again." in done.stderr
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
    assert labels[0]["schema"] != labels[1]["schema"]
    assert [len(label["migrations"]["applied"]) for label in labels] == [0, 1]

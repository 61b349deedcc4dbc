"""Layers and images: deterministic, complete, and accepted by other programs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from backports import zstd

from greenroom import http_client
from greenroom.errors import Failed, FixConfiguration
from greenroom.registry.access import Access
from greenroom.registry.references import reference
from greenroom.seeds import layer, oci, pgdata, pull
from seeds.conftest import ARCH, Baked, RealRegistry
from seeds.servers import give, running


def packed(source: Path, target: Path, compression: layer.Compression = "zstd") -> layer.Layer:
    return layer.pack(source, pgdata.PLACE, target, compression=compression)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    data = tmp_path / "data"
    (data / "base" / "1").mkdir(parents=True)
    for name in ("PG_VERSION", "base/1/2", "base/1/10", "base/empty"):
        (data / name).write_text(name)
    data.chmod(0o700)
    (data / "PG_VERSION").chmod(0o600)
    return data


@pytest.mark.parametrize("compression", ["zstd", "gzip"])
def test_same_files_make_the_same_layer(files: Path, tmp_path: Path, compression: layer.Compression) -> None:
    first = packed(files, tmp_path / "first", compression)
    copy = tmp_path / "copy"
    copy.mkdir(mode=0o700)
    for path in sorted(files.rglob("*"), reverse=True):  # another order of creation, other times and owners
        target = copy / path.relative_to(files)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.mkdir(exist_ok=True) if path.is_dir() else shutil.copy(path, target)
        os.utime(target, (1, 1))
    (copy / "postmaster.opts").write_text("/tmp/path/of/this/machine")
    second = packed(copy, tmp_path / "second", compression)
    assert (first.digest, first.diff_id, first.size) == (second.digest, second.diff_id, second.size)
    (copy / "base" / "1" / "2").write_text("other")
    assert packed(copy, tmp_path / "third", compression).diff_id != first.diff_id


def test_entries_have_the_owner_of_the_stock_image_and_keep_their_mode(files: Path, tmp_path: Path) -> None:
    made = packed(files, tmp_path / "layer")
    with zstd.open(made.path) as file, tarfile.open(fileobj=file, mode="r|") as archive:
        entries = {entry.name: (entry.uid, entry.gid, entry.mode, entry.mtime, entry.uname) for entry in archive}
    assert entries["var/lib/preview"] == (0, 0, 0o755, 0, "")
    assert entries["var/lib/preview/pgdata"] == (999, 999, 0o700, 0, "")
    assert entries["var/lib/preview/pgdata/PG_VERSION"] == (999, 999, 0o600, 0, "")
    assert list(entries) == sorted(entries)
    assert made.content == sum(path.stat().st_size for path in files.rglob("*") if path.is_file())


def test_link_is_refused(files: Path, tmp_path: Path) -> None:
    (files / "pg_tblspc").symlink_to("/etc")
    with pytest.raises(Failed, match="A seed cannot contain links, such as tablespaces"):
        packed(files, tmp_path / "layer")


async def test_base_is_read_through_an_index_and_other_architectures_are_refused(real_registry: RealRegistry) -> None:
    async with http_client.client(5) as client:
        access = Access(client)
        base = await pull.read_base(access, reference(real_registry.index), ARCH)
        assert base == await pull.read_base(access, reference(real_registry.base), ARCH)
        assert [one.media_type for one in base.layers] == ["application/vnd.oci.image.layer.v1.tar+gzip"]
        with pytest.raises(FixConfiguration, match=f"is for s390x, but this machine is {ARCH}"):
            await pull.read_base(access, reference(real_registry.foreign), ARCH)
        with pytest.raises(FixConfiguration, match=rf"has no image for linux/riscv64 \(it has {ARCH}, s390x\)"):
            await pull.read_base(access, reference(real_registry.index), "riscv64")
        with pytest.raises(FixConfiguration, match="does not exist"):
            await pull.read_base(access, reference(f"{real_registry.host}/base/none:1"), ARCH)


def test_configuration_of_the_base_is_kept_and_extended(files: Path, tmp_path: Path) -> None:
    made = packed(files, tmp_path / "layer")
    config = {
        "architecture": ARCH, "os": "linux", "variant": "v8", "rootfs": {"type": "layers", "diff_ids": ["sha256:0"]},
        "config": {"Env": ["PATH=/bin", "PGDATA=/old"], "Entrypoint": ["run"], "Labels": {"a": "b"}},
    }  # fmt: skip
    base = oci.Base((oci.Descriptor("application/vnd.oci.image.layer.v1.tar+gzip", "sha256:1", 9),), config)
    image = oci.with_layer(
        base,
        made,
        env={"PGDATA": pgdata.PLACE},
        stop_signal="SIGINT",
        label={"built": "2026-01-01T00:00:00Z", "tag": "t"},
    )
    written = json.loads(image.config)
    assert written["config"]["Env"] == ["PATH=/bin", f"PGDATA={pgdata.PLACE}"]
    assert written["config"]["Entrypoint"] == ["run"]
    assert written["config"]["StopSignal"] == "SIGINT"
    assert set(written["config"]["Labels"]) == {"a", "dev.greenroom.seed"}
    assert written["rootfs"]["diff_ids"] == ["sha256:0", made.diff_id]
    assert written["variant"] == "v8"
    assert [entry["digest"] for entry in json.loads(image.manifest)["layers"]] == ["sha256:1", made.digest]


def test_damaged_layout_is_found(files: Path, tmp_path: Path) -> None:
    made = packed(files, tmp_path / "layer")
    base = oci.Base((), {"architecture": ARCH, "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}})
    image = oci.with_layer(
        base, made, env={}, stop_signal="SIGINT", label={"built": "2026-01-01T00:00:00Z", "tag": "t"}
    )
    layout = tmp_path / "layout"
    oci.write_layout(layout, image, "t")
    with pytest.raises(Failed, match="is missing"):
        oci.validate(layout)
    blob = oci.blob_path(layout, made.digest)
    shutil.copy(made.path, blob)
    oci.validate(layout)
    blob.write_bytes(blob.read_bytes()[:-1] + b"x")
    with pytest.raises(Failed, match="does not match its digest"):
        oci.validate(layout)


def test_postgresql_starts_from_the_unpacked_layer_with_all_data(baked: Baked, work: Path) -> None:
    made = packed(baked.data, work / "layer")
    root = work / "root"
    with zstd.open(made.path) as file, tarfile.open(fileobj=file, mode="r|") as archive:
        archive.extractall(root, filter="tar")
    data = root / pgdata.PLACE.strip("/")
    give(root)
    with running(data, baked.programs) as server:
        assert server.sql('SELECT count(*), (SELECT count(*) FROM customers) FROM "Order Lines"') == "500|2"
        assert server.sql("INSERT INTO customers (email) VALUES ('new@example.com') RETURNING id").startswith("3")


def test_data_is_packed_in_constant_memory(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    with (data / "large").open("wb") as file:
        file.truncate(300 * 1024 * 1024)
    code = (
        "import resource, sys; from pathlib import Path; from greenroom.seeds import layer;"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss;"
        "layer.pack(Path(sys.argv[1]), '/x/y', Path(sys.argv[2]));"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, data, tmp_path / "layer"], capture_output=True, check=True, text=True
    )
    assert int(done.stdout) < 100 * 1024  # kilobytes

"""`greenroom seed build --platform`: the image has exactly the name that the controller looks up."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from builders import pull_request
from greenroom import config
from greenroom.core.model.seeds import Tree
from greenroom.core.policy import seeds
from greenroom.errors import FixConfiguration
from greenroom.seeds import build, checkout, oci, wanted
from seeds.conftest import COLUMNS, DUMP, RealRegistry

HERE = "{ kind: postgresql, version: '18', as: DATABASE_URL, seed: seed/shop.sql }"
NEEDS = {
    "plain": HERE,
    "other version": HERE.replace("18", "16"),
    "volume": HERE.replace("as:", "storage: persistent, as:"),
    "restore": HERE.replace("seed/shop.sql", "{ path: seed/shop.sql, mode: restore }"),
    "extensions": HERE.replace("seed/shop.sql", "{ path: seed/shop.sql, extensions: [citext, pg_trgm] }"),
    "rows": HERE.replace("seed/shop.sql", "{ path: seed/shop.sql, rows: { customers: 2 } }"),
}
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize {size}\n"


class Shop:
    """A configuration and a repository with a dump."""

    def __init__(self, folder: Path, need: str = HERE, images: str = "") -> None:
        self.platform, self.checkout = folder / "platform", folder / "shop"
        (self.platform / "services").mkdir(parents=True)
        (self.platform / "greenroom.yaml").write_text(
            "installation: shop\ndomain: preview.example.com\nargocd: { chart: oci://registry.example.com/preview,"
            " chartVersion: 0.1.0 }\n"
            f"seeds: {{ image: registry.example.com/previews/seeds }}\n{images}"
        )
        (self.platform / "services" / "shop.yaml").write_text(
            f"repository: acme/shop\nimage: registry.example.com/shop\nprocesses: {{ web: {{ port: 8080 }} }}\nneeds: [{need}]\n"
        )
        (self.checkout / "seed").mkdir(parents=True)
        self.dump = self.checkout / "seed" / "shop.sql"
        self.dump.write_text(DUMP)
        (self.checkout / "seed" / "seed.columns.yaml").write_text(COLUMNS)
        self.git("init", "--quiet")
        self.commit()

    def git(self, *arguments: str) -> str:
        who = ["-c", "user.name=ann", "-c", "user.email=ann@example.com"]
        return subprocess.check_output(["git", "-C", self.checkout, *who, *arguments], text=True).strip()

    def commit(self) -> None:
        self.git("add", ".")
        self.git("commit", "--quiet", "--message", "seed")

    def looked_up(self) -> str:
        """Return the reference that the controller looks up for this commit."""
        platform = config.load(self.platform).platform
        [repository] = platform.repositories
        [each] = seeds.wanted(repository, pull_request(1), None, platform)
        found = self.git("ls-tree", "-r", "--format=%(path) %(objectname)", "HEAD").splitlines()
        tree = Tree(dict(line.split() for line in found))
        return seeds.reference(each, {each.source: tree}, platform)

    def built(self, *, worktree: bool = False) -> str:
        """Return the reference that the command line builds."""
        request = wanted.request(wanted.load(self.platform), "shop/postgresql", self.checkout, worktree=worktree)
        return f"{request.to}:{build.inputs_of(request, request.blob).tag}"


@pytest.mark.parametrize("need", NEEDS)
def test_controller_and_command_line_name_the_same_image(need: str, tmp_path: Path) -> None:
    shop = Shop(tmp_path, NEEDS[need])
    assert shop.built() == shop.looked_up()
    assert shop.built().startswith("registry.example.com/previews/seeds:")


def test_replaced_stock_image_is_part_of_the_name(tmp_path: Path) -> None:
    plain, other = (
        Shop(tmp_path / "a"),
        Shop(tmp_path / "b", images="images: { postgresql: registry.example.com/pg }\n"),
    )
    assert other.built() == other.looked_up() != plain.built() == plain.looked_up()


def test_file_of_git_lfs_has_the_id_of_its_pointer(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    content = DUMP.encode()
    shop.dump.write_text(POINTER.format(digest=hashlib.sha256(content).hexdigest(), size=len(content)))
    shop.commit()
    shop.dump.write_bytes(content)
    assert shop.built() == shop.looked_up()
    shop.dump.write_bytes(content.replace(b"ann", b"eve"))
    with pytest.raises(FixConfiguration, match="differs from the commit that is checked out"):
        shop.built()


def test_dump_that_is_not_committed_needs_a_flag(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.dump.write_text(DUMP.replace("ann", "eve"))
    with pytest.raises(FixConfiguration, match=r"differs from the commit .* Commit the change, or pass --worktree\."):
        shop.built()
    early = shop.built(worktree=True)
    shop.commit()
    assert early == shop.built() == shop.looked_up()
    shop.git("rm", "--quiet", "--cached", "seed/shop.sql")
    shop.git("commit", "--quiet", "--message", "gone")
    with pytest.raises(FixConfiguration, match="is not in the commit that is checked out"):
        shop.built()


def test_folder_inside_of_a_repository_is_not_its_root(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    with pytest.raises(FixConfiguration, match=r"is not the root of its repository.* Pass --checkout"):
        checkout.blob_id(shop.checkout / "seed", "shop.sql")


def test_folder_without_git_counts_the_content(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    name = shop.looked_up()
    shutil.rmtree(shop.checkout / ".git")
    assert shop.built() == name


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "--platform needs --need SERVICE/NEED."),
        (("--need", "shop/redis"), "shop/redis does not start from a seed. These do: shop/postgresql."),
        (("--need", "shop/postgresql", "--version", "17"), "--version cannot be combined with --platform"),
        (("dump.sql", "--need", "shop/postgresql"), "DUMP cannot be combined with --platform"),
        (("--need", "shop/postgresql", "--checkout", "{platform}"), "There is no seed/shop.sql in "),
    ],
)
def test_wrong_call_is_one_sentence(arguments: tuple[str, ...], sentence: str, tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    done = _run(shop, *(argument.format(platform=shop.platform) for argument in arguments))
    assert (done.returncode, sentence in done.stderr) == (2, True), done.stderr
    assert "Traceback" not in done.stderr


def test_configuration_without_a_place_for_images_is_refused(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    file = shop.platform / "greenroom.yaml"
    file.write_text("\n".join(line for line in file.read_text().splitlines() if "seeds:" not in line))
    done = _run(shop, "--need", "shop/postgresql")
    assert (done.returncode, "does not say where seed images are stored" in done.stderr) == (2, True), done.stderr


def test_image_is_built_on_the_tag_and_labeled_with_its_digest(
    tmp_path: Path, real_registry: RealRegistry, version: tuple[str, Path], work: Path
) -> None:
    home = f"http://{real_registry.host}/v2"
    digest = real_registry.base.partition("@")[2]
    accept = {"accept": "application/vnd.docker.distribution.manifest.v2+json"}
    base = httpx2.get(f"{home}/base/postgres/manifests/{digest}", headers=accept)
    headers = {"content-type": base.headers["content-type"]}
    assert httpx2.put(f"{home}/base/postgres/manifests/18", content=base.content, headers=headers).status_code == 201
    shop = Shop(tmp_path, images=f"images: {{ postgresql: {real_registry.host}/base/postgres }}\n")
    name = f"{real_registry.host}/of-the-platform/seeds"
    file = shop.platform / "greenroom.yaml"
    file.write_text(file.read_text().replace("registry.example.com/previews/seeds", name))
    done = _run(shop, "--need", "shop/postgresql", "--checkout", str(shop.checkout), "--programs", str(version[1]))
    assert done.returncode == 0, done.stderr
    repository, _, tag = shop.looked_up().removeprefix(f"{real_registry.host}/").partition(":")
    manifest = httpx2.get(f"{home}/{repository}/manifests/{tag}", headers={"accept": oci.MANIFEST})
    assert done.stdout.strip() == f"{name}@{manifest.headers['docker-content-digest']}"
    config_digest = manifest.json()["config"]["digest"]
    labels = httpx2.get(f"{home}/{repository}/blobs/{config_digest}").json()["config"]["Labels"]
    label = json.loads(labels["dev.greenroom.seed"])
    assert (label["base"], label["base_digest"]) == (f"{real_registry.host}/base/postgres:18", digest)
    assert (label["tag"], label["source"]) == (tag, "acme/shop:seed/shop.sql")


def _run(shop: Shop, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "greenroom", "seed", "build", "--platform", str(shop.platform), *arguments]
    environment = {**os.environ, "DOCKER_CONFIG": str(shop.platform)}
    return subprocess.run(command, cwd=shop.checkout, env=environment, capture_output=True, text=True, timeout=120)

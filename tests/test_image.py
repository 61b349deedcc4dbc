"""The controller's image: the same input makes the same digest, wherever the checkout is and whenever it was made."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
INPUT = ("src", "deploy", "pyproject.toml", "uv.lock", "LICENSE", "NOTICE", "README.md")
UV = shutil.which("uv", path=f"{os.environ['PATH']}:{ROOT / '.tools' / 'bin'}")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the Debian layer is kept that the image stands on. Making it takes root and minutes: a small one will do."""
    folder = tmp_path_factory.mktemp("cache")
    (folder / "layers").mkdir()
    file = folder / "release"
    file.write_text("bookworm\n")
    with tarfile.open(folder / "layers" / "python3.tar.gz", "w:gz") as layer:
        layer.add(file, "etc/release")
    return folder


def checkout(folder: Path, time: int) -> Path:
    """Copy what the image is made from, with this time on every file."""
    folder.mkdir(parents=True)
    for name in INPUT:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder)
    for path in folder.rglob("*"):
        os.utime(path, (time, time))
    return folder


def build(folder: Path, cache: Path) -> str:
    """Build the image; return its digest."""
    assert UV is not None
    environment = {
        **os.environ,
        "GREENROOM_CLUSTER_CACHE": str(cache),
        "PATH": f"{Path(UV).parent}:{os.environ['PATH']}",
    }
    command = [folder / "deploy" / "image" / "build"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = done.stdout.strip().rpartition("@")[2]
    assert found.startswith("sha256:"), done.stdout
    return found


def layers(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "dist" / "layers").glob("*.tar.gz")}


@pytest.mark.skipif(UV is None, reason="uv is not here; run make .tools/bin/uv")
def test_two_builds_of_the_same_source_are_the_same_image_and_another_source_is_another(
    cache: Path, tmp_path: Path
) -> None:
    one = checkout(tmp_path / "one", 1_000_000_000)
    other = checkout(tmp_path / "elsewhere" / "other", 1_700_000_000)
    first = build(one, cache)
    assert build(other, cache) == first
    assert layers(one) == layers(other)
    assert len(layers(one)) == 2
    with tarfile.open(one / "dist" / "layers" / "greenroom.tar.gz") as layer:
        rooms = {Path(name).parts[-2] for name in layer.getnames() if name.endswith("/__init__.py")}
    assert {"argocd", "controller", "web"} <= rooms
    assert not rooms & {"local", "demo", "simulate", "simulator", "importer"}, "a cluster needs none of them"
    with (other / "src" / "greenroom" / "errors.py").open("a") as file:
        file.write("# changed\n")
    assert build(other, cache) != first


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        ("check examples/minimal", 0, "ok: "),
        ("values examples/minimal", 0, "configuration:"),
        (
            "demo",
            1,
            "This image is for clusters and does not contain `greenroom demo`. Run the command from a clone of Greenroom.",
        ),
        ("simulate examples/minimal", 1, "does not contain `greenroom simulate`"),
        ("import compose.yaml", 1, "does not contain `greenroom import`"),
    ],
)
def test_what_the_image_leaves_out_says_so(command: str, code: int, words: str, tmp_path: Path) -> None:
    left_out = shutil.ignore_patterns("__pycache__", "local", "demo", "simulate", "simulator", "importer")
    shutil.copytree(ROOT / "src" / "greenroom", tmp_path / "greenroom", ignore=left_out)
    (tmp_path / "compose.yaml").write_text("services: {}\n")
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from greenroom.__main__ import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, *command.split()], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, words in done.stdout + done.stderr) == (code, True), done.stdout + done.stderr

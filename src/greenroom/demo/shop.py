"""Example shop as real git repositories with real branches, made on the fly."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from greenroom.errors import Failed

SERVICES = ("storefront", "catalog", "payments")
_COMMITTER = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false"]


def source() -> Path:
    """Return the folder of the shop's source, inside an installed package or in the checkout."""
    for candidate in (Path(__file__).parent / "shop", Path(__file__).parents[3] / "examples" / "shop"):
        if (candidate / "catalog").is_dir():
            return candidate
    raise Failed("The example shop is not part of this package. Run the demo from a clone of Greenroom.")


def _git(repository: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *_COMMITTER, "-C", str(repository), *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise Failed(f"git {arguments[0]} failed in {repository.name}: {done.stderr.strip()}")
    return done.stdout.strip()


class Shop:
    """Repositories of the shop, one folder each below `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def make(self) -> None:
        """Make the three repositories, each with one commit on main."""
        for name in SERVICES:
            target = self.folder / name
            shutil.copytree(source() / name, target, ignore=shutil.ignore_patterns("__pycache__"))
            _git(target, "init", "--quiet", "--initial-branch", "main")
            _git(target, "add", "--all")
            _git(target, "commit", "--quiet", "--message", f"The {name} of the shop")

    def commit(self, name: str, branch: str, release: str, files: Mapping[str, str] | None = None) -> str:
        """Commit the service's release and these files on a branch. Return the commit's full hash."""
        repository = self.folder / name
        known = _git(repository, "branch", "--list", branch)
        _git(repository, "checkout", "--quiet", *([branch] if known else ["-b", branch, "main"]))
        for path, text in {"release.txt": f"{release}\n", **(files or {})}.items():
            (repository / path).write_text(text)
        _git(repository, "commit", "--quiet", "--all", "--message", f"Release {release}")
        sha = _git(repository, "rev-parse", "HEAD")
        _git(repository, "checkout", "--quiet", "main")
        return sha

    @staticmethod
    def seeded_products() -> list[tuple[int, str, int]]:
        """Return the products that the catalog begins with, from the seed in the source: id, name, cents."""
        dump = (source() / "catalog" / "seed" / "catalog.sql").read_text()
        block = re.search(r"COPY public\.products .* FROM stdin;\n(.*?)\n\\\.", dump, re.DOTALL)
        if block is None:
            raise Failed("The catalog's seed contains no products.")
        rows = (line.split("\t") for line in block.group(1).splitlines())
        return [(int(number), name, int(cents)) for number, name, cents in rows]

"""`python -m bench`: every measurement, one after the other."""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

from bench import core, links, markdown, queries, queue, storm, webhook


def help_time(times: int = 11) -> None:
    """The whole process of `greenroom --help`."""
    taken = []
    program = Path(sys.executable).parent / "greenroom"
    for _ in range(times):
        begun = time.perf_counter()
        subprocess.run([program, "--help"], capture_output=True, check=True)
        taken.append(time.perf_counter() - begun)
    print(f"greenroom --help: {statistics.median(taken) * 1000:.0f} ms (median of {times})")


def install_size() -> None:
    """What `pip install greenroom` brings, without bytecode: its run-time dependencies, whole."""
    wanted, todo = set(), ["greenroom"]
    while todo:
        name = todo.pop()
        if name in wanted:
            continue
        wanted.add(name)
        for line in metadata.requires(name) or ():
            requirement, _, marker = line.partition(";")
            base = re.split(r"[\[<>=!~ ]", requirement.strip())[0]
            needed = "extra ==" not in marker or (name, base) in EXTRAS
            if needed and _installed(base):
                todo.append(base.lower())
    size = sum(_size(name) for name in wanted - {"greenroom"})
    print(f"run-time dependencies: {len(wanted) - 1} distributions, {size / 1e6:.0f} MB without bytecode")


EXTRAS = {("gidgethub", "httpx2"), ("sqlalchemy", "greenlet"), ("SQLAlchemy", "greenlet")}


def _installed(name: str) -> bool:
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _size(name: str) -> int:
    files = [f.locate() for f in metadata.files(name) or () if f.suffix != ".pyc"]
    return sum(Path(str(f)).stat().st_size for f in files if Path(str(f)).exists())


def demo() -> None:
    """Seconds from image to seeded rows over HTTP, and of the whole demo."""
    program = Path(sys.executable).parent / "greenroom"
    done = subprocess.run([program, "demo", "--json"], capture_output=True, text=True, check=True)
    *steps, summary = [json.loads(line) for line in done.stdout.splitlines()]
    seconds = {s["step"]: s["seconds"] for s in steps}
    print(f"demo: label to a comment that waits {seconds['label']} s;")
    print(f"  image pushed to HTTP 200 with 30 seeded rows {seconds['ready']} s, PostgreSQL set up included;")
    print(f"  the whole story {summary['seconds']} s")


def main() -> None:
    """All of them."""
    core.main()
    links.main()
    markdown.main()
    webhook.main()
    queries.main()
    storm.main()
    queue.main()
    help_time()
    install_size()
    demo()


if __name__ == "__main__":
    main()

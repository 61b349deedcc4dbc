"""`python -m bench.seed_check [MB]`: time and memory of `greenroom seed check`, against counting the lines of the dump.

The floor is measured in the same run, each time before the check, because other programs may use the machine.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

ROWS = 10_000
HEADER = "CREATE TABLE public.t (a integer, b text, c text, d text, e timestamp with time zone, f jsonb);\n"
FLOOR = """
import sys
with open(sys.argv[1], "rb") as file:
    print(sum(block.count(b"\\n") for block in iter(lambda: file.read(1 << 20), b"")))
"""
CHECK = """
import sys
from pathlib import Path
from greenroom.seeds.check import Wants, check
print(check(Path(sys.argv[1]), Wants(no_columns=True, max_bytes=10**12, max_expanded=10**12)).ok)
"""


def _values(number: int) -> tuple[object, ...]:
    text = "Lorem ipsum dolor sit amet, consectetur adipiscing " * (1 + number % 3)
    return (number, f"Name {number}", f"user{number}@example.com", text, "2026-01-01 12:00:00+00", '{"a": [1, "x"]}')


def _copy(size: int) -> Iterator[str]:
    yield HEADER + "COPY public.t (a, b, c, d, e, f) FROM stdin;\n"
    for start in range(0, size // 205, ROWS):
        yield "".join("\t".join(map(str, _values(n))) + "\n" for n in range(start, start + ROWS))
    yield "\\.\n"


def _insert(size: int) -> Iterator[str]:
    yield HEADER
    for start in range(0, size // 245, ROWS):
        yield "".join(
            "INSERT INTO public.t VALUES ({}, '{}', '{}', '{}', '{}', '{}');\n".format(*_values(n))
            for n in range(start, start + ROWS)
        )


def _mysql(size: int) -> Iterator[str]:
    yield "CREATE TABLE `t` (`a` int, `b` text, `c` text, `d` text, `e` text, `f` json);\n"
    for start in range(0, size // 220, ROWS // 2):
        rows = ("({},'{}','{}','{}','{}','{}')".format(*_values(n)) for n in range(start, start + ROWS // 2))
        yield "INSERT INTO `t` VALUES " + ",".join(rows).replace('"', '\\"') + ";\n"


def _seconds(program: str, path: Path) -> float:
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", program, path], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begun


def measure(name: str, make: Callable[[int], Iterator[str]], megabytes: int, times: int) -> None:
    """Print the medians of one kind of dump."""
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.writelines(make(megabytes * 1_000_000))
        file.flush()
        path = Path(file.name)
        size = path.stat().st_size / 1e6
        pairs = [(_seconds(FLOOR, path), _seconds(CHECK, path)) for _ in range(times)]
    floor, check = (median(column) for column in zip(*pairs, strict=True))
    print(
        f"seed check, {name}, {size:.0f} MB: {check:.1f} s, {check / floor:.1f} times as long as counting its lines"
        f" ({floor:.1f} s); medians of {times}"
    )


def main(megabytes: int = 1000, times: int = 3) -> None:
    """Print the figures."""
    for name, make in (("COPY", _copy), ("INSERT of one row", _insert), ("MySQL", _mysql)):
        measure(name, make, megabytes, times)
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    print(f"seed check: at most {most / 1024:.0f} MB of memory")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))

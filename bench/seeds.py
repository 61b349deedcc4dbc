"""`make bench-seeds`: seconds from `kubectl apply` to the first answer of a seeded PostgreSQL, on the real cluster.

Three ways, in one run, with the same dump: the stock image that restores it, the layer of a seed image, and the copy of
that layer on a volume. Each pod is like that of the preview chart. "First answer" is `SELECT 1`, "all data" is a count
and a sum over every table. Medians; images are on the node.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from e2e import scene as stage  # noqa: E402
from e2e.scene import REGISTRY, kubectl, run, thing, until  # noqa: E402
from greenroom.core.model.kinds import KINDS  # noqa: E402

NAMESPACE = "bench-seeds"
BASE = f"{REGISTRY}/postgres:15"
LAYER = "/var/lib/preview/pgdata"
WORDS = ("green", "room", "stage", "light", "curtain", "actor", "prompt", "script", "scene", "cue", "house")


def dump(megabytes: int, target: Path) -> None:
    """Write a plain dump of about this size: three tables, text, an index and a foreign key."""
    chance, written = random.Random(7), 0
    with target.open("w") as file:
        file.write("SET client_encoding = 'UTF8';\n")
        file.write("CREATE TABLE public.customers (id integer NOT NULL, name text NOT NULL);\n")
        file.write("COPY public.customers (id, name) FROM stdin;\n")
        file.writelines(f"{n}\tcustomer {n}\n" for n in range(1, 10_001))
        file.write("\\.\n\nCREATE TABLE public.orders (id integer NOT NULL, customer integer NOT NULL, note text);\n")
        file.write("COPY public.orders (id, customer, note) FROM stdin;\n")
        number = 0
        while written < megabytes * 1_000_000:
            number += 1
            note = " ".join(chance.choices(WORDS, k=30))
            written += file.write(f"{number}\t{chance.randint(1, 10_000)}\t{note}\n")
        file.write("\\.\n\nALTER TABLE ONLY public.customers ADD CONSTRAINT customers_pkey PRIMARY KEY (id);\n")
        file.write("ALTER TABLE ONLY public.orders ADD CONSTRAINT orders_pkey PRIMARY KEY (id);\n")
        file.write("CREATE INDEX orders_customer ON public.orders USING btree (customer);\n")
        file.write(
            "ALTER TABLE ONLY public.orders ADD CONSTRAINT orders_customer_fkey FOREIGN KEY (customer) REFERENCES"
            " public.customers(id);\n"
        )
        file.write("--\n-- PostgreSQL database dump complete\n--\n")


@dataclass(frozen=True)
class Images:
    """The references by digest of the image with a layer, and of the one that restores the dump."""

    layer: str
    restore: str
    phases: str


def built(path: Path, folder: Path, name: str) -> Images:
    """Build both images with the product's own command, and with the dump in the stock image's folder."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "greenroom", "seed", "build", str(path), "--version", "15", "--base", BASE),
            *("--to", f"{REGISTRY}/bench/{name}", "--insecure", REGISTRY, "--work", str(folder)),
        ],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "DOCKER_CONFIG": str(folder)},
    )
    if done.returncode:
        raise stage.NotSeen(done.stderr[-800:])
    phases = "; ".join(" ".join(line.split()) for line in done.stderr.splitlines() if line.strip().endswith(" s"))
    layer = folder / "dump.tar.gz"
    tar = [
        "tar",
        "-C",
        str(path.parent),
        "--transform",
        "s#.*#docker-entrypoint-initdb.d/seed.sql#",
        "-cf",
        "-",
        path.name,
    ]
    made = subprocess.run(tar, capture_output=True, check=True).stdout
    layer.write_bytes(subprocess.run(["gzip", "-1"], input=made, capture_output=True, check=True).stdout)
    push = [
        sys.executable,
        str(ROOT / "deploy/cluster/images/push.py"),
        "--registry",
        REGISTRY,
        "--base",
        "postgres:15",
    ]
    restore = run(*push, "--layer", str(layer), f"bench/{name}-restore:1")
    return Images(done.stdout.strip().splitlines()[-1], restore.strip().splitlines()[-1], phases)


def pod(name: str, way: str, images: Images) -> dict[str, Any]:
    """A pod as the preview chart makes it for this way."""
    chart = KINDS["postgresql"].chart
    env = {"POSTGRES_USER": "app", "POSTGRES_DB": "app", "POSTGRES_PASSWORD": "bench", "PGDATA": LAYER}
    container: dict[str, Any] = {
        "name": "postgresql",
        "image": images.restore if way == "restore" else images.layer,
        "env": [{"name": key, "value": value} for key, value in env.items()],
        "volumeMounts": [{"name": "shared", "mountPath": "/dev/shm"}],
    }
    volumes: list[dict[str, Any]] = [{"name": "shared", "emptyDir": {"medium": "Memory"}}]
    if way != "restore":
        container["command"] = ["sh", "-c", chart.seeded, "start", way, "0"]
    if way != "layer":
        volumes.append({"name": "data", "emptyDir": {}})
        place = chart.copied if way == "copy" else chart.data
        container["volumeMounts"].append({"name": "data", "mountPath": place})
    security = {"runAsUser": 999, "runAsGroup": 999, "fsGroup": 999}
    spec = {
        "containers": [container],
        "volumes": volumes,
        "securityContext": security,
        "terminationGracePeriodSeconds": 2,
        "enableServiceLinks": False,
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec}


def started(name: str) -> tuple[float, float]:
    """Seconds until the first answer and until all data was read, from now on."""
    began = time.perf_counter()

    def address() -> str:
        found = thing("pod", name, NAMESPACE)
        return str((found or {}).get("status", {}).get("podIP", ""))

    host = until(address, 300, f"the address of {name}")
    url = f"postgresql://app:bench@{host}/app?connect_timeout=1"
    while True:
        try:
            with psycopg.connect(url) as connection:
                connection.execute("SELECT 1")
                first = time.perf_counter() - began
                connection.execute("SELECT count(*), sum(length(note)) FROM orders")
                connection.execute("SELECT count(*), sum(length(name)) FROM customers")
                return first, time.perf_counter() - began
        except psycopg.Error:
            if time.perf_counter() - began > 300:
                raise
            time.sleep(0.02)


def measured(names: list[str], way: str, images: Images) -> tuple[float, float]:
    """Apply these pods together. Return the last first answer and the last moment at which all data was read."""
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": [pod(name, way, images) for name in names]})
    began = time.perf_counter()
    kubectl("apply", "-f", "-", given=text)
    applied = time.perf_counter() - began
    with ThreadPoolExecutor(len(names)) as pool:
        found = list(pool.map(started, names))
    kubectl("delete", "pod", "-n", NAMESPACE, *names, "--wait", "--timeout=60s")
    return applied + max(first for first, _ in found), applied + max(whole for _, whole in found)


def rounds(count: int, pods: int, images: Images) -> Iterator[tuple[str, list[tuple[float, float]]]]:
    """Measure the three ways in turn, after one round that pulls the images."""
    ways = ("restore", "layer", "copy")
    found: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    for number in range(count + 1):
        for way in ways:
            took = measured([f"{way}-{number}-{n}" for n in range(pods)], way, images)
            if number:
                found[way].append(took)
    yield from found.items()


def shown(what: str, count: int, pods: int, images: Images) -> None:
    """Print the medians of the three ways, with their ratio to the stock image."""
    floor = 0.0
    for way, found in rounds(count, pods, images):
        first, whole = (statistics.median(side) for side in zip(*found, strict=True))
        floor = floor or first
        spread = f"{min(f for f, _ in found):.2f} to {max(f for f, _ in found):.2f}"
        print(
            f"{what}, {way}: first answer {first:.2f} s ({spread}, n={len(found)}, {floor / first:.1f} times sooner),"
            f" all data {whole:.2f} s",
            flush=True,
        )


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--sizes", default="50,500", help="megabytes of the dump, with commas")
    options.add_argument("--rounds", type=int, default=5)
    chosen = options.parse_args()
    stage.environment()
    kubectl("create", "namespace", NAMESPACE)
    try:
        with tempfile.TemporaryDirectory(prefix="greenroom-bench-", dir="/var/tmp") as made:
            folder = Path(made)
            folder.chmod(0o755)
            for size in map(int, chosen.sizes.split(",")):
                path = folder / f"dump-{size}.sql"
                dump(size, path)
                images = built(path, folder, f"seed-{size}")
                print(f"{size} MB, build: {images.phases}", flush=True)
                path.unlink()
                shown(f"{size} MB", chosen.rounds, 1, images)
                if size == 500:
                    shown(f"{size} MB, five at once", 1, 5, images)
    finally:
        kubectl("delete", "namespace", NAMESPACE, "--timeout=120s")


if __name__ == "__main__":
    main()

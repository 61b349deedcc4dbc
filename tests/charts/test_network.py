"""Who can reach whom, judged by an analyser that nobody here wrote, on the rendered objects of linked previews.

https://github.com/np-guard/network-config-analyzer reads Kubernetes objects and says for each pair of pods, and for each
range of addresses, which ports are open. It pins old versions of what it needs, so it runs in an environment of its own.
What it cannot say: whether a cluster's network enforces policies at all.
"""

from __future__ import annotations

import ipaddress
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import yaml

from charts.rendering import MAY_SKIP, ROOT, SHOP, Object, Render, Values, linked, program

ANALYSER = "network-config-analyzer==2.1.0"
TRAEFIK = "traefik/traefik[Pod]"
DNS = "kube-system/kube-dns[Pod]"
STRANGER = "other/stranger[Pod]"
SOURCES = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "traefik"}}}]
LINE = re.compile(r"(\S+) => (\S+) : (.+)")
ALL = "All connections"


@dataclass(frozen=True, slots=True)
class Reach:
    """What the analyser said: from, to, and how."""

    found: dict[tuple[str, str], str]

    def ports(self, source: str, target: str) -> str:
        """`TCP 8080`, `All connections`, or nothing."""
        said = self.found.get((source, target), "")
        match = re.fullmatch(r"\{protocols:(.+),dst_ports:(.+)\}", said)
        return f"{match[1]} {match[2]}" if match else said

    def address(self, source: str, address: str) -> bool:
        """Whether an address outside the cluster can be reached in any way."""
        wanted = ipaddress.ip_address(address)
        return any(_within(wanted, target) for of, target in self.found if of == source and "[" not in target)


def _within(wanted: ipaddress.IPv4Address | ipaddress.IPv6Address, text: str) -> bool:
    first, _, last = text.partition("-")
    low, high = ipaddress.ip_address(first), ipaddress.ip_address(last or first)
    return wanted.version == low.version and int(low) <= int(wanted) <= int(high)


Analyse = Callable[..., Reach]


@pytest.fixture(scope="module")
def analyse(tmp_path_factory: pytest.TempPathFactory) -> Analyse:
    uv = program("uv", ROOT / ".tools" / "bin")
    if uv is None and MAY_SKIP:
        pytest.skip("uv is not installed, which brings the analyser: `make` installs it in .tools")
    assert uv, "uv must be there in CI"
    nca = [uv, "tool", "run", "--quiet", "--python", sys.executable, "--from", ANALYSER, "nca"]
    there = subprocess.run([*nca, "--version"], capture_output=True, text=True, check=False)
    if there.returncode and MAY_SKIP:
        pytest.skip(f"{ANALYSER} cannot be installed: {there.stderr.strip()[-200:]}")
    assert there.returncode == 0, there.stderr

    def analysed(*rendered: list[Object]) -> Reach:
        folder = tmp_path_factory.mktemp("objects")
        for index, objects in enumerate((_around(), *rendered)):
            # It takes a file with two braces in a row for a template, and leaves it out.
            (folder / f"{index}.yaml").write_text(yaml.safe_dump_all(objects).replace("{{", "{ {"))
        arguments = ["--connectivity", "-r", str(folder), "-o", "txt_no_fw_rules"]
        done = subprocess.run([*nca, *arguments], capture_output=True, text=True, check=True)
        assert "Skipping" not in done.stderr, done.stderr
        return Reach({(m[1], m[2]): m[3] for line in done.stdout.splitlines() if (m := LINE.fullmatch(line))})

    return analysed


def _around() -> list[Object]:
    """The rest of a cluster: an ingress controller, DNS, and a pod of somebody else."""
    pods = {"traefik": "traefik", "kube-system": "kube-dns", "other": "stranger"}
    return [o for namespace, name in pods.items() for o in (_namespace(namespace), _pod(namespace, name, app=name))]


def _namespace(name: str) -> Object:
    labels = {"kubernetes.io/metadata.name": name}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def _pod(namespace: str, name: str, **labels: str) -> Object:
    metadata = {"name": name, "namespace": namespace, "labels": labels}
    spec = {"containers": [{"name": name, "image": name}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def _named(rendered: list[Object]) -> list[Object]:
    """With the label that Kubernetes itself puts on each namespace."""
    namespace = rendered[0]
    labels = {**namespace["metadata"]["labels"], "kubernetes.io/metadata.name": namespace["metadata"]["name"]}
    return [{**namespace, "metadata": {**namespace["metadata"], "labels": labels}}, *rendered[1:]]


@pytest.fixture(scope="module")
def shop(analyse: Analyse, render: Render) -> Reach:
    """catalog#1, storefront#2 linked to it and to payments#4, and storefront#3 that is not, as the core decides them."""
    ingress: Values = {"settings": {"ingress": {"from": SOURCES}}}
    specs = linked(
        SHOP,
        {
            ("storefront", 2): {"catalog": "1", "payments": "4"},
            ("storefront", 3): {"catalog": "staging"},
            ("catalog", 1): {},
            ("payments", 4): {},
        },
    )
    return analyse(*(_named(render(values, ingress)) for values in specs.values()))


WEB = "preview-catalog-1/catalog-web[Deployment]"
WORKER = "preview-catalog-1/catalog-worker[Deployment]"
DATABASE = "preview-catalog-1/catalog-postgresql[Deployment]"
REPORT = "preview-catalog-1/catalog-report[CronJob]"
CACHE = "preview-catalog-1/catalog-redis[Deployment]"
QUEUE = "preview-catalog-1/catalog-rabbitmq[Deployment]"
PAYMENTS = "preview-payments-4/payments-web[Deployment]"
LINKED = "preview-storefront-2/storefront-web[Deployment]"
UNLINKED = "preview-storefront-3/storefront-web[Deployment]"


@pytest.mark.parametrize(
    ("source", "target", "ports"),
    [
        (TRAEFIK, WEB, "TCP 8080"),
        (TRAEFIK, WORKER, ""),
        (TRAEFIK, DATABASE, ""),
        (STRANGER, WEB, ""),
        (STRANGER, DATABASE, ""),
        (WEB, DATABASE, "TCP 5432"),
        (WORKER, DATABASE, "TCP 5432"),
        (WORKER, WEB, "TCP 8080"),
        (REPORT, DATABASE, "TCP 5432"),
        (WEB, CACHE, "TCP 6379"),
        (WORKER, QUEUE, "TCP 5672"),
        (TRAEFIK, QUEUE, ""),
        (LINKED, CACHE, ""),
        (QUEUE, WEB, ""),
        (QUEUE, DATABASE, ""),
        (CACHE, DNS, ""),
        (WEB, WORKER, ""),
        (LINKED, WEB, "TCP 8080"),
        (LINKED, PAYMENTS, "TCP 8080"),
        (PAYMENTS, LINKED, ""),
        (PAYMENTS, WEB, ""),
        (PAYMENTS, DATABASE, ""),
        (WEB, PAYMENTS, ""),
        (UNLINKED, PAYMENTS, ""),
        (LINKED, WORKER, ""),
        (LINKED, DATABASE, ""),
        (UNLINKED, WEB, ""),
        (UNLINKED, DATABASE, ""),
        (WEB, LINKED, ""),
        (LINKED, UNLINKED, ""),
        (WEB, DNS, "TCP, UDP 53"),
        (WEB, TRAEFIK, ""),
        (WEB, STRANGER, ""),
        (DATABASE, WEB, ""),
        (DATABASE, DNS, ""),
        (DATABASE, STRANGER, ""),
    ],
)
def test_who_reaches_whom(source: str, target: str, ports: str, shop: Reach) -> None:
    assert shop.ports(source, target) == ports


def test_nobody_else_reaches_anybody(shop: Reach) -> None:
    """The whole list, so that an opening that no line above thought of shows too."""
    inside = (WEB, WORKER, REPORT, DATABASE, CACHE, QUEUE, LINKED, UNLINKED, PAYMENTS)
    found = {(a, b) for a, b in shop.found if b in inside}
    assert found == {
        *((TRAEFIK, each) for each in (WEB, LINKED, UNLINKED, PAYMENTS)),
        *((each, need) for each in (WEB, WORKER, REPORT) for need in (DATABASE, CACHE, QUEUE)),
        (WORKER, WEB),
        (REPORT, WEB),
        (LINKED, WEB),
        (LINKED, PAYMENTS),
    }


@pytest.mark.parametrize("source", [WEB, WORKER, LINKED])
@pytest.mark.parametrize(
    ("address", "reached"),
    [
        ("140.82.121.4", True),
        ("1.1.1.1", True),
        ("2606:4700:4700::1111", True),
        ("169.254.169.254", False),
        ("169.254.170.2", False),
        ("fd00:ec2::254", False),
        ("100.100.100.200", False),
        ("168.63.129.16", False),
        ("192.0.0.192", False),
        ("10.0.0.1", False),
        ("10.255.255.255", False),
        ("172.20.0.1", False),
        ("192.168.1.1", False),
        ("198.18.0.1", False),
        ("fe80::1", False),
        ("64:ff9b::8c52:7904", True),
        ("64:ff9b::a00:1", False),
        ("64:ff9b::a9fe:a9fe", False),
        ("64:ff9b::c0a8:101", False),
        ("64:ff9b:1::a00:1", False),
        ("2002:a00:1::1", False),
        ("ff02::1", False),
        ("224.0.0.1", False),
    ],
)
def test_services_reach_the_internet_and_nothing_private(source: str, address: str, reached: bool, shop: Reach) -> None:
    assert shop.address(source, address) is reached


@pytest.mark.parametrize("address", ["140.82.121.4", "169.254.169.254", "10.0.0.1", "2606:4700:4700::1111"])
def test_databases_reach_nothing(address: str, shop: Reach) -> None:
    assert not shop.address(DATABASE, address)


def test_what_the_platform_opens_and_closes(analyse: Analyse, render: Render, everything: Values) -> None:
    linked = [_namespace("preview-storefront-9"), _pod("preview-storefront-9", "debugger")]
    linked.append(_pod("preview-storefront-9", "storefront", **{"greenroom.dev/role": "service"}))
    reach = analyse(_named(render(everything)), linked)
    web, worker = (f"preview-shop-42/shop-{p}[Deployment]" for p in ("web", "worker"))
    admin = next(name for name, _ in reach.found if name.startswith("preview-shop-42/shop-admin-0"))
    metrics = next(name for _, name in reach.found if name.startswith("preview-shop-42/shop-metrics-"))
    cron = next(name for name, _ in reach.found if name.startswith("preview-shop-42/shop-nightly-"))
    assert reach.address(web, "10.9.0.7")
    assert not reach.address(web, "10.9.1.7")
    assert not reach.address(web, "34.118.224.1")
    assert not reach.address(web, "2600:1900::1")
    assert reach.address(web, "169.254.20.10"), "NodeLocal DNS"
    assert not reach.address(web, "169.254.20.11")
    assert reach.ports(TRAEFIK, web) == "TCP 8080"
    assert not reach.ports(TRAEFIK, admin), "the address leads to one process only"
    assert not reach.ports(TRAEFIK, metrics)
    assert reach.ports(worker, admin) == "TCP 9000"
    assert reach.ports(cron, metrics) == "TCP 9100"
    assert reach.ports(cron, "preview-shop-42/shop-reports[StatefulSet]") == "TCP 5432"
    assert reach.ports(web, "preview-shop-42/shop-mysql[Deployment]") == "TCP 3306"
    assert reach.ports(web, "preview-shop-42/shop-sessions[StatefulSet]") == "TCP 6379"
    mailpit = "preview-shop-42/mailpit[Deployment]"
    assert reach.ports(web, mailpit) == "TCP 1025,8025"
    assert not reach.ports(TRAEFIK, mailpit)
    assert not [b for a, b in reach.found if a == mailpit], "a manifest calls nobody"
    assert {a for a, b in reach.found if b == mailpit} <= {
        a for a, b in reach.found if b.startswith("preview-shop-42/shop-redis")
    }
    assert not reach.ports(web, cron)
    assert reach.ports("preview-storefront-9/storefront[Pod]", web) == "TCP 8080"
    assert not reach.ports("preview-storefront-9/storefront[Pod]", admin), "opened to another preview only"
    assert not reach.ports("preview-storefront-9/debugger[Pod]", web), "opened to services only"
    outside = {a for a, b in reach.found if b == web and "[" not in a}
    assert outside == {"10.1.0.0-10.1.255.255"}


def test_two_previews_apart_share_nothing(analyse: Analyse, render: Render, everything: Values) -> None:
    """Also with the widest settings, and also by the same names in both."""
    other = {**everything, "name": "preview-shop-43", "namespace": "preview-shop-43"}
    reach = analyse(_named(render(everything)), _named(render(other)))
    homes = [(a.partition("/")[0], b.partition("/")[0]) for a, b in reach.found]
    both = ("preview-shop-42", "preview-shop-43")
    assert {(name, name) for name in both} <= set(homes)
    assert not {both, both[::-1]} & set(homes)

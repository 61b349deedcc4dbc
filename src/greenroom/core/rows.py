"""A row: what an engine is told about one preview, and the parameter set that an ApplicationSet generator receives.

A row holds nothing secret and no free text that a stranger wrote, other than as a value.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from greenroom.core.catalogue import Platform, Process, Service


@dataclass(frozen=True, slots=True)
class Naming:
    """Everything of a preview that is a name. A change of any of them would be another preview.

    `hosts` pairs each public service with its host; `label` is the label that asked for the preview.
    """

    name: str
    namespace: str
    label: str
    hosts: tuple[tuple[str, str], ...]

    def host(self, service: str) -> str | None:
        """The public host of a service, or None when it has none."""
        return dict(self.hosts).get(service)


@dataclass(frozen=True, slots=True)
class Version:
    """The commit and image that one service runs. `digest` is `sha256:...`; `reference` is `host/name:tag`."""

    service: str
    sha: str
    reference: str
    digest: str


@dataclass(frozen=True, slots=True)
class Choice:
    """Where a person pointed a service that the preview uses: `staging`, `default`, or a pull request's number.

    `comment` is the id of the comment that says so; of two choices the later one counts. `refused`: that person may not
    read the target's repository.
    """

    service: str
    to: str
    by: str
    comment: int
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Link:
    """Where one `uses` entry of `service` points, and why.

    `variables` pairs parts of the address with variables, as in `Use`. `number` is the pull request whose preview
    answers, 0 for none; `namespace` and `port` are where, unless it is this very preview, whose own service it then is
    (`own`). `wanted` is the number of the one that should answer and does not exist; `paired` says that nobody chose
    that one: the two pull requests belong together.
    """

    service: str
    target: str
    variables: tuple[tuple[str, str], ...]
    url: str
    public: str
    why: str = "staging"
    number: int = 0
    namespace: str = ""
    port: int = 0
    wanted: int = 0
    own: bool = False
    paired: bool = False

    @property
    def name(self) -> str:
        """What answers, as people call it: `payments#17`, `this preview` or `staging`."""
        if self.number:
            return f"{self.target}#{self.number}"
        return "this preview" if self.own else "staging"


@dataclass(frozen=True, slots=True)
class Row:
    """One preview, as told to an engine.

    `services` is the catalogue's part, `versions` what a push changes, `links` where `uses` point. `head_since` is when
    this head was first served. `choices` are what people said last, `sequence` that of the signed block that first held
    them, and `mentions` the pull requests that this one says
    it belongs to (`owner/repo#N`, lower case). `given` are (service, variable, value) that follow from addresses, and
    `open_to` (service, namespace, port) says which other previews may call in. `incarnation` grows when the data begins
    at the seed again (`renewed` is when), and `lives` names the container of each need that holds it; `nonce` forces a
    new try; `asleep` puts services to zero, which `sleepy`, the label, asks for: a preview that others use stays awake.
    `waiting_head` is a pushed commit that is not deployed yet, first seen at `waiting_since`.
    `chart_version` and `settings` (the chart's `settings` as canonical JSON) stay as they are until the next push.
    """

    repository_id: int
    repository: str
    slug: str
    number: int
    author: str
    naming: Naming
    head_sha: str
    head_since: datetime
    created: datetime
    versions: tuple[Version, ...]
    services: tuple[Service, ...]
    links: tuple[Link, ...] = ()
    incarnation: int = 1
    nonce: int = 0
    given: tuple[tuple[str, str, str], ...] = ()
    chart_version: str = ""
    settings: str = "{}"
    lives: tuple[tuple[str, str], ...] = ()
    renewed: datetime | None = None
    asleep: bool = False
    sleepy: bool = False
    url: str = ""
    branch: str = ""
    private: bool = True
    mentions: tuple[str, ...] = ()
    choices: tuple[Choice, ...] = ()
    sequence: int = 0
    open_to: tuple[tuple[str, str, int], ...] = ()
    waiting_head: str = ""
    waiting_since: datetime | None = None


def parameters(row: Row, platform: Platform) -> dict[str, object]:
    """The parameter set that an ApplicationSet's plugin generator receives for one preview: JSON values only.

    https://argo-cd.readthedocs.io/en/stable/operator-manual/applicationset/Generators-Plugin/
    """
    return {
        "name": row.naming.name,
        "namespace": row.naming.namespace,
        "installation": platform.installation,
        "repository": row.repository,
        "repositoryId": str(row.repository_id),
        "number": str(row.number),
        "headSha": row.head_sha,
        "chartVersion": row.chart_version,
        "values": {
            "preview": {
                "repository": row.repository,
                "repositoryId": str(row.repository_id),
                "slug": row.slug,
                "number": row.number,
                "installation": platform.installation,
                "label": row.naming.label,
                "incarnation": row.incarnation,
                "nonce": row.nonce,
                "asleep": row.asleep,
            },
            "services": {service.name: _service(service, row) for service in row.services},
            "manifests": {
                manifest.name: [json.loads(each) for each in manifest.objects]
                for service in row.services
                for manifest in service.manifests
            },
            "settings": json.loads(row.settings),
        },
    }


def revision(service: Service, row: Row) -> str:
    """What the pods of a service were made from, 12 hex digits; they carry it, which tells old pods from new ones."""
    made_from = json.dumps([_values(service, row), row.incarnation, row.chart_version, row.settings], sort_keys=True)
    return hashlib.sha256(made_from.encode()).hexdigest()[:12]


def alike(old: Row, new: Row) -> bool:
    """Whether both rows make the same pods: they differ at most in what no pod is made of."""
    return _pods(old) == _pods(new)


def _pods(row: Row) -> Row:
    links = tuple(replace(k, why="", number=0, wanted=0, own=False, paired=False) for k in row.links)
    never: Any = None
    return replace(
        row,
        author="",
        head_since=never,
        created=never,
        lives=(),
        renewed=None,
        links=links,
        sleepy=False,
        url="",
        branch="",
        private=True,
        mentions=(),
        choices=(),
        sequence=0,
        open_to=(),
        waiting_head="",
        waiting_since=None,
    )


def _service(service: Service, row: Row) -> dict[str, Any]:
    opened = [{"namespace": n, "port": p} for name, n, p in row.open_to if name == service.name]
    return {**_values(service, row), "openTo": opened, "revision": revision(service, row)}


def _values(service: Service, row: Row) -> dict[str, Any]:
    version = next((v for v in row.versions if v.service == service.name), None)
    own = {} if service.run_as_user is None else {"runAsUser": service.run_as_user}  # absent, pods stay as they are
    return {
        **own,
        "image": f"{service.image.repository}@{version.digest}" if version else "",
        "sha": version.sha if version else "",
        "host": row.naming.host(service.name) or "",
        "web": service.web.name if service.web else "",
        "processes": {p.name: _process(p) for p in service.processes},
        "migrate": {"command": list(service.migrate), "timeoutSeconds": _seconds(service.migrate_timeout)},
        "needs": {
            need.name: {
                "kind": need.kind,
                "version": need.version,
                "image": need.image,
                "variables": {variable: part for part, variable in need.variables},
                "storage": need.storage.value,
                "memory": need.memory,
                "size": need.size,
            }
            for need in service.needs
        },
        "sharedNeeds": [
            {
                "service": need.service,
                "name": need.name,
                "variables": {variable: part for part, variable in need.variables},
            }
            for need in service.shared_needs
        ],
        "links": {k.target: _link(k) for k in row.links if k.service == service.name},
        "env": dict(service.env) | {name: value for of, name, value in row.given if of == service.name},
        "envFrom": list(service.env_from),
        "resources": {
            "cpu": service.resources.cpu,
            "memory": service.resources.memory,
            "memoryLimit": service.resources.memory_limit,
        },
    }


def _seconds(limit: timedelta | None) -> int:
    """Whole seconds, at least one; 0 for no limit."""
    return max(1, int(limit.total_seconds())) if limit else 0


def _link(link: Link) -> dict[str, object]:
    elsewhere = {"namespace": link.namespace, "port": link.port} if link.namespace and link.port else {}
    variables = {variable: part for part, variable in link.variables}
    return {"variables": variables, "url": link.url, "public": link.public, **elsewhere}


def link_variables(link: Link) -> dict[str, str]:
    """The variables of a link with their values."""
    host = re.sub(r"^[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*@)?", "", link.url)
    host, _, port = re.split(r"[/?#]", host, maxsplit=1)[0].partition(":")
    parts = {"url": link.url, "public": link.public, "host": host}
    parts["port"] = port or ("443" if link.url.lower().startswith("https:") else "80")
    return {variable: parts[part] for part, variable in link.variables}


def _process(process: Process) -> dict[str, object]:
    return {
        "kind": process.kind.value,
        "command": list(process.command),
        "port": process.port,
        "schedule": process.schedule,
        "replicas": process.replicas,
        "migrates": process.migrates,
        "probe": process.probe,
    }

"""Previews as the chart renders them, from specs that the core decided about configurations that were really loaded."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from builders import NOW, decide, desired, digest, facts, pull_request
from greenroom.argocd.applicationset import RELEASE
from greenroom.config import load
from greenroom.core.model.actions import Start
from greenroom.core.model.engine import EngineState, PreviewSet
from greenroom.core.model.github import CommentState, Present, SignedState
from greenroom.core.model.spec import Identity, LinkOverride
from greenroom.core.model.verdicts import Run
from greenroom.core.planning.chart_values import parameters

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
CHART = ROOT / "charts" / "preview"
CACHE = Path("/var/cache/greenroom-cluster/bin")
MAY_SKIP = os.environ.get("CI") not in ("true", "1")
KUBERNETES = "1.34.4"
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Object = dict[str, Any]
Values = dict[str, Any]
Render = Callable[..., list[Object]]

SHOP = ROOT / "examples" / "shop" / "platform"
EVERYTHING = HERE / "everything"


def program(name: str, *places: Path) -> str | None:
    """A program from PATH or one of these folders, or None."""
    return shutil.which(name) or next((str(p / name) for p in places if os.access(p / name, os.X_OK)), None)


def preview(folder: Path, repository: str, number: int) -> Values:
    """The parameter set of the spec that a first pass over a labeled pull request starts a preview with."""
    platform = load(folder).platform
    found = platform.repository(repository)
    assert found is not None
    asking = pull_request(number)
    images = {s.image.reference(asking.head_sha, number): Present(digest(s.name)) for s in found.services}
    decision = decide(replace(facts(asking), images=images), platform, found, NOW)
    (start,) = [a for a in decision.actions if isinstance(a, Start)]
    return parameters(start.spec, platform)


def linked(folder: Path, wanted: Mapping[tuple[str, int], Mapping[str, str]]) -> dict[tuple[str, int], Values]:
    """The parameter sets of previews beside each other: repository and number, with what was chosen for each service."""
    platform = load(folder).platform
    sets: dict[int, PreviewSet] = {}
    for _ in range(3):  # who uses whom is known a pass later
        for (name, number), chosen in wanted.items():
            found = platform.repository(name)
            assert found is not None
            repository_id = 100 + platform.repositories.index(found)
            identity = Identity(repository_id, number)
            asking = replace(pull_request(number), identity=identity, head_repository_id=repository_id)
            choices = tuple(LinkOverride(service, to, "ada", 1) for service, to in chosen.items())
            given = facts(asking)
            given = replace(
                given,
                listing=replace(given.listing, repository_id=repository_id),
                observed=EngineState(sets=sets),
                images={s.image.reference(asking.head_sha, number): Present(digest(s.name)) for s in found.services},
                blocks={number: SignedState(1, CommentState(choices=choices))},
            )
            verdict = desired(given, platform, found, NOW).verdicts[identity]
            assert isinstance(verdict, Run), verdict
            known = sets.get(repository_id, PreviewSet(repository_id, name))
            sets = {**sets, repository_id: replace(known, specs={**known.specs, number: verdict.spec})}
    return {(s.repository, n): parameters(spec, platform) for s in sets.values() for n, spec in s.specs.items()}


def helm(*arguments: str, binary: str) -> str:
    """What helm prints; AssertionError with its words when it refuses."""
    done = subprocess.run([binary, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def as_yaml(values: Values) -> str:
    """JSON that is YAML too, which knows no pairs of surrogates."""

    def character(match: re.Match[str]) -> str:
        if not match[1]:
            return match[0]
        high, low = int(match[1], 16) - 0xD800, int(match[2], 16) - 0xDC00
        return f"\\U{0x10000 + (high << 10) + low:08x}"

    return re.sub(r"\\\\|\\u(d[89ab]..)\\u(d[c-f]..)", character, json.dumps(values))


def template(
    binary: str,
    given: Values,
    *more: Values,
    sets: tuple[str, ...] = (),
    chart: Path = CHART,
    release: str = RELEASE,
) -> str:
    """The manifest of one preview as text; `more` are merged over the spec's values, `sets` as Argo CD's parameters are."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["template", release, str(chart), "--namespace", given["namespace"]]
        arguments += ["--kube-version", KUBERNETES]
        for index, values in enumerate((given["values"], *more)):
            path = Path(folder) / f"{index}.json"
            path.write_text(as_yaml(values))
            arguments += ["--values", str(path)]
        for each in sets:
            arguments += ["--set", each]
        return helm(*arguments, binary=binary)


def objects(manifest: str) -> list[Object]:
    """All objects of a manifest, in its order."""
    return [o for o in yaml.load_all(manifest, Loader=LOADER) if o]


def pods(rendered: list[Object]) -> Iterator[tuple[Object, Object]]:
    """Each workload with its pod template."""
    for found in rendered:
        match found["kind"]:
            case "Deployment" | "StatefulSet":
                yield found, found["spec"]["template"]
            case "CronJob":
                yield found, found["spec"]["jobTemplate"]["spec"]["template"]


def containers(template: Object) -> list[Object]:
    """Init containers and containers of a pod."""
    found: list[Object] = [*template["spec"].get("initContainers", []), *template["spec"]["containers"]]
    return found


def named(rendered: list[Object], kind: str, name: str) -> Object:
    """The one object of that kind and name."""
    (found,) = [o for o in rendered if o["kind"] == kind and o["metadata"]["name"] == name]
    return found


def without_chance(rendered: list[Object]) -> list[Object]:
    """The same objects with their passwords, and the hash of what core put in, out of sight."""
    text = json.dumps(rendered)
    for secret in (o for o in rendered if o["kind"] == "Secret"):
        text = text.replace(secret["stringData"]["password"], "PASSWORD")
    hidden: list[Object] = json.loads(text)
    for _, pod in pods(hidden):
        annotations = pod["metadata"].get("annotations", {})
        if "greenroom.dev/revision" in annotations:
            annotations["greenroom.dev/revision"] = "REVISION"
    return hidden

"""The example workflow of GitHub Actions, run by act on this machine, with a real registry and a real PostgreSQL."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from greenroom.seeds import oci
from seeds.conftest import DUMP, RealRegistry
from seeds.test_platform_build import Shop

WORKFLOW = Path(__file__).parents[2] / "examples" / "github-actions" / "seed.yml"
ACT = Path(sys.executable).with_name("act")
VERSION = "15"
CHECKOUT = """\
name: checkout
inputs: { path: { required: false }, ref: { required: false }, repository: { required: false } }
runs:
  using: composite
  steps:
    - shell: bash
      env: { INTO: "${{ inputs.path || '.' }}", REF: "${{ inputs.ref }}", REPOSITORY: "${{ inputs.repository }}" }
      run: |
        case $REPOSITORY in
        OWNER/platform) cp -r "$PLATFORM_SOURCE" "$INTO" ;;
        *) git clone --quiet "$SHOP_SOURCE" "$INTO" && git -C "$INTO" checkout --quiet "$REF" ;;
        esac
"""
AFTER = """
  after:
    needs: build
    runs-on: ubuntu-latest
    permissions: {}
    steps: [{ run: 'echo "the next job has $IMAGE"', env: { IMAGE: "${{ needs.build.outputs.image }}" } }]
"""
"""A job of the user that takes the output."""
DOCKER = """\
#!/bin/sh
printf '{"auths": {"%s": {"auth": "%s"}}}' "$2" "$(printf %s "$4:$(cat)" | base64)" >"$DOCKER_CONFIG/config.json"
"""


class Runner:
    """A repository with the workflow, and a machine on which act runs it.

    Whatever needs the internet is replaced: the checkout clones from this machine, pipx does nothing because Greenroom
    is installed, and `docker login` writes the same file without asking the registry.
    """

    def __init__(self, folder: Path, home: RealRegistry) -> None:
        self.folder, self.home = folder, home
        images = f"images: {{ postgresql: {home.host}/base/postgres }}\n"
        need = f"{{ kind: postgresql, version: '{VERSION}', as: DATABASE_URL, seed: seed/shop.sql }}"
        self.shop = Shop(folder, need, images)
        file = self.shop.platform / "greenroom.yaml"
        file.write_text(file.read_text().replace("registry.example.com/previews/seeds", f"{home.host}/of-ci/seeds"))
        workflows = self.shop.checkout / ".github" / "workflows"
        workflows.mkdir(parents=True)
        text = WORKFLOW.read_text().replace("registry.example.com #", f"{home.host} #")
        workflows.joinpath("seed.yml").write_text(text.replace('POSTGRESQL: "16"', f'POSTGRESQL: "{VERSION}"') + AFTER)
        self.shop.git("branch", "-M", "main")
        self.shop.git("remote", "add", "origin", "https://github.com/acme/shop")
        self.shop.commit()
        self._program("pipx", "#!/bin/sh\n")
        self._program("docker", DOCKER)
        (folder / "checkout").mkdir()
        (folder / "checkout" / "action.yml").write_text(CHECKOUT)

    def _program(self, name: str, text: str) -> None:
        path = self.folder / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)

    def run(self, event: str, payload: dict[str, Any]) -> subprocess.CompletedProcess[str]:
        (self.folder / "event.json").write_text(json.dumps(payload))
        pin = re.search(r"actions/checkout@[0-9a-f]{40}", WORKFLOW.read_text())
        assert pin
        environment = {
            **os.environ,
            "PATH": f"{self.folder / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "DOCKER_CONFIG": str(self.folder),
            "SHOP_SOURCE": str(self.shop.checkout),
            "PLATFORM_SOURCE": str(self.shop.platform),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
            "HOME": str(self.folder),
        }
        secrets = ["PLATFORM_READ_TOKEN=t0ken", "SEED_REGISTRY_PASSWORD=s3cret"]
        arguments = [word for secret in secrets for word in ("-s", secret)]
        arguments += ["--var", "SEED_REGISTRY_USERNAME=ci"]
        return subprocess.run(
            [ACT, event, "-e", self.folder / "event.json", "-P", "ubuntu-latest=-self-hosted",
             *arguments, "--local-repository", f"{pin[0]}={self.folder / 'checkout'}"],
            cwd=self.shop.checkout, env=environment, capture_output=True, text=True, timeout=180,
        )  # fmt: skip

    def pull_request(self, repository: str = "acme/shop") -> dict[str, Any]:
        head = {"sha": self.shop.git("rev-parse", "HEAD"), "ref": "topic", "repo": {"full_name": repository}}
        base = {"ref": "main", "repo": {"full_name": "acme/shop"}}
        return {"pull_request": {"number": 1, "head": head, "base": base}, "repository": {"full_name": "acme/shop"}}

    def tags(self) -> list[str]:
        return httpx2.get(f"http://{self.home.host}/v2/of-ci/seeds/tags/list").json().get("tags") or []


@pytest.fixture
def runner(work: Path, real_registry: RealRegistry) -> Runner:
    if not ACT.exists() or not shutil.which("git"):
        pytest.skip("act or git is not installed")
    if not Path(f"/usr/lib/postgresql/{VERSION}/bin/initdb").exists():
        pytest.skip(f"PostgreSQL {VERSION} is not installed (apt-get install postgresql-{VERSION})")
    home = f"http://{real_registry.host}/v2/base/postgres/manifests"
    accept = {"accept": "application/vnd.docker.distribution.manifest.v2+json"}
    base = httpx2.get(f"{home}/{real_registry.base.partition('@')[2]}", headers=accept)
    headers = {"content-type": base.headers["content-type"]}
    assert httpx2.put(f"{home}/{VERSION}", content=base.content, headers=headers).status_code == 201
    return Runner(work, real_registry)


def test_pull_request_and_merge_get_the_image_that_previews_look_up(runner: Runner) -> None:
    done = runner.run("pull_request", runner.pull_request())
    assert done.returncode == 0, done.stdout + done.stderr
    tag = runner.shop.looked_up().rpartition(":")[2]
    assert runner.tags() == [tag], done.stdout
    digest = httpx2.head(
        f"http://{runner.home.host}/v2/of-ci/seeds/manifests/{tag}", headers={"accept": oci.MANIFEST}
    ).headers["docker-content-digest"]
    assert f"the next job has {runner.home.host}/of-ci/seeds@{digest}\n" in done.stdout
    login = json.loads((runner.folder / "config.json").read_text())["auths"][runner.home.host]
    assert base64.b64decode(login["auth"]) == b"ci:s3cret"
    again = runner.run("push", {"ref": "refs/heads/main", "repository": {"full_name": "acme/shop"}})
    assert again.returncode == 0, again.stdout + again.stderr
    assert runner.tags() == [tag]
    assert "restore " not in again.stdout, "the image that exists is not built again"


def test_fork_is_checked_but_not_built_and_gets_no_secret(runner: Runner) -> None:
    done = runner.run("pull_request", runner.pull_request("mallory/shop"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ok (postgresql, plain SQL" in done.stdout
    assert not (runner.folder / "config.json").exists(), "a fork does not log in to the registry"


def test_refused_dump_fails_the_check_and_is_not_built(runner: Runner) -> None:
    before = set(runner.tags())
    runner.shop.dump.write_text(DUMP.replace("email text", "email text, phone text"))
    runner.shop.commit()
    done = runner.run("pull_request", runner.pull_request())
    assert done.returncode == 1
    assert re.search(r"seed/shop\.sql: .*phone", done.stdout), done.stdout
    assert set(runner.tags()) == before
    assert not (runner.folder / "config.json").exists()


def test_workflow_has_least_permissions_and_pinned_actions() -> None:
    text = WORKFLOW.read_text()
    found = yaml.safe_load(text)
    assert found["permissions"] == {}
    assert all(job["permissions"] == {"contents": "read"} for job in found["jobs"].values())
    assert all("secrets." not in json.dumps(job) for name, job in found["jobs"].items() if name != "build")
    used = re.findall(r"uses: (\S+)", text)
    assert all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", each) for each in used)
    assert text.count("persist-credentials: false") == len(used)
    assert not re.findall(r"run:.*\$\{\{", text), "expressions in a shell are injections"

"""The stories run against `make cluster`, inside its network: `make e2e`. Elsewhere they are skipped, in CI never."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e import scene as stage

ASKED = "GREENROOM_E2E"  # the controller's image; `make e2e` names it
PLAYED = pytest.StashKey[stage.Scene]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents and ASKED not in os.environ:
            item.add_marker(pytest.mark.skip(reason="needs the cluster: make cluster && make e2e"))


@pytest.fixture(scope="session")
def the_played_scene(pytestconfig: pytest.Config) -> Iterator[stage.Scene]:
    """The one scene of all stories: GitHub, registry, Argo CD, and Greenroom installed from its own chart."""
    stage.environment()
    folder = Path(tempfile.mkdtemp(prefix="greenroom-e2e-"))
    folder.chmod(0o755)
    try:
        with stage.played(folder, os.environ[ASKED]) as scene:
            pytestconfig.stash[PLAYED] = scene
            yield scene
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def scene(the_played_scene: stage.Scene, request: pytest.FixtureRequest) -> Iterator[stage.Scene]:
    """The scene as a story finds it: Greenroom Ready, no preview, no hour's removals."""
    the_played_scene.up()
    yield the_played_scene
    the_played_scene.clean()


@pytest.fixture
def stores(scene: stage.Scene) -> Iterator[None]:
    """The catalog has its cache and queue too."""
    with scene.serving(catalog=scene.whole):
        yield


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """What the controller said, beside a story that failed, or whose beginning or end did."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    played = item.config.stash.get(PLAYED, None)
    if report.failed and played:
        report.sections.append(("greenroom list", played.greenroom("list", check=False)))
        report.sections.append(("the controller's last lines", played.log()))

"""helm, as Argo CD runs it, and the previews that most tests look at."""

from __future__ import annotations

import json

import pytest
import yaml

from charts import rendering
from charts.rendering import CACHE, EVERYTHING, MAY_SKIP, SHOP, Object, Render, Values


@pytest.fixture(scope="session")
def helm() -> str:
    """The path of helm; `make cluster` builds one."""
    found = rendering.program("helm", CACHE)
    if found is None and MAY_SKIP:
        pytest.skip("helm is not installed: install it, or build it with `make cluster`")
    assert found, "helm must be there in CI"
    return found


@pytest.fixture(scope="session")
def render(helm: str) -> Render:
    """A preview's objects, to read only: `render(preview(...), more values..., sets=("links.a.url=...",))`."""
    known: dict[str, list[Object]] = {}

    def rendered(given: Values, *more: Values, sets: tuple[str, ...] = ()) -> list[Object]:
        key = json.dumps([given, more, sets])
        if key not in known:
            known[key] = rendering.objects(rendering.template(helm, given, *more, sets=sets))
        return known[key]

    return rendered


@pytest.fixture(scope="session")
def catalog() -> Values:
    return rendering.preview(SHOP, "catalog", 1)


@pytest.fixture(scope="session")
def storefront() -> Values:
    return rendering.preview(SHOP, "storefront", 2)


@pytest.fixture(scope="session")
def everything() -> Values:
    """All that a preview can have, the values beyond the configuration merged in."""
    made = rendering.preview(EVERYTHING, "shop", 42)
    beyond = yaml.safe_load((EVERYTHING / "values.yaml").read_text())
    return {**made, "values": merged(made["values"], beyond)}


def merged(base: Values, over: Values) -> Values:
    """`over` laid over `base`, mapping by mapping, as helm does it."""
    result = dict(base)
    for key, value in over.items():
        old = result.get(key)
        result[key] = merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return result

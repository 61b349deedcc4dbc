"""What three previews look like in the cluster, whole. After a wanted change: `GOLDEN=write pytest tests/charts`, then read the diff."""

from __future__ import annotations

import os

import pytest
import yaml

from charts.rendering import HERE, Object, Render, Values, without_chance


class _Readable(yaml.SafeDumper):
    """No anchors: whoever reads the file should not have to look up."""

    def ignore_aliases(self, data: object) -> bool:
        return True


@pytest.mark.parametrize("name", ["catalog", "storefront", "everything"])
def test_the_whole_preview(name: str, render: Render, request: pytest.FixtureRequest) -> None:
    given: Values = request.getfixturevalue(name)
    found = without_chance(render(given))
    path = HERE / "golden" / f"{name}.yaml"
    if os.environ.get("GOLDEN") == "write":
        path.write_text(yaml.dump_all(found, Dumper=_Readable, sort_keys=False, width=120, allow_unicode=False))
    kept = [o for o in yaml.safe_load_all(path.read_text()) if o]
    assert [_called(o) for o in found] == [_called(o) for o in kept]
    for now, before in zip(found, kept, strict=True):
        assert now == before, _called(now)


def _called(found: Object) -> str:
    return f"{found['kind']}/{found['metadata']['name']}"

"""A simulated GitHub that an earlier version stored still works after a field was added."""

from __future__ import annotations

from greenroom.simulator.world import World


def test_fields_added_since_a_repository_was_stored_get_their_defaults() -> None:
    world = World()
    stored = world.repository("acme/shop")
    world.open_pull_request("acme/shop", head="idea", sha="a" * 40, by="ada")
    for name in ("workflows", "runs", "changed_run", "checks", "commit_messages"):
        delattr(stored, name)
    resumed = World()
    resumed.resume(world.kept())
    run = resumed.run_workflow("acme/shop", "a" * 40)
    found = resumed.repository("acme/shop")
    assert (found.runs, found.changed_run, found.checks) == ({run.id: run}, run.id, {})
    assert found.pull_requests.keys() == {1}

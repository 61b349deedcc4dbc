"""The context of a pass is completed and moved to a later state of the engine, and links its previews only once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from builders import NOW, PLATFORM, REPOSITORY, REPOSITORY_ID, facts, identity, observed, preview, pull_request
from greenroom.core.planning.context import pass_context


def test_completed_context_keeps_what_is_known_of_the_engine() -> None:
    read = pass_context(facts(pull_request(1), holds=observed(1)), PLATFORM, REPOSITORY, NOW)
    completed = read.completed(facts(pull_request(1), holds=observed(1)))
    assert completed.index is read.index
    assert completed.held == {identity(1)}


def test_index_of_links_is_built_again_only_if_preview_sets_changed() -> None:
    holds = observed(1)
    read = pass_context(facts(pull_request(1), holds=holds), PLATFORM, REPOSITORY, NOW)
    same = read.at(replace(holds, previews={identity(2): preview(2)}), NOW + timedelta(seconds=1))
    assert same.index is read.index
    assert same.held == {identity(1), identity(2)}
    assert same.now == NOW + timedelta(seconds=1)
    other = replace(holds.sets[REPOSITORY_ID], specs={})
    changed = read.at(replace(holds, sets={REPOSITORY_ID: other}), NOW)
    assert (len(read.index.specs), len(changed.index.specs)) == (1, 0)

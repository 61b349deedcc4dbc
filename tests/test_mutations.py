"""Every mutation finds its text and names a test that exists, so that no rename leaves a rule without its check."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from mutations import MUTATIONS, ROOT, Mutation


@pytest.mark.parametrize("mutation", MUTATIONS, ids=[m.rule for m in MUTATIONS])
def test_mutation_finds_its_text_once_and_its_test(mutation: Mutation) -> None:
    assert (ROOT / "src" / "greenroom" / mutation.file).read_text().count(mutation.old) == 1
    file, _, name = mutation.test.partition("::")
    assert re.search(rf"^(async )?def {name.partition('[')[0]}\(", (ROOT / file).read_text(), re.MULTILINE)


def test_each_rule_is_taken_out_once() -> None:
    assert [rule for rule, count in Counter(m.rule for m in MUTATIONS).items() if count > 1] == []
    changes = Counter((m.file, m.old, m.new) for m in MUTATIONS)
    assert [change for change, count in changes.items() if count > 1] == []

"""Names of labels as GitHub compares them: case does not matter, and a repository keeps one spelling of each.

Every comparison of a label's name goes through here. Argo CD's own pull request generator, which `greenroom render`
uses, compares exactly. https://docs.github.com/en/issues/using-labels-and-milestones-to-track-work/managing-labels
"""

from __future__ import annotations

from collections.abc import Iterable


def same(one: str, other: str) -> bool:
    """Return whether both names mean the same label."""
    return one.casefold() == other.casefold()


def carries(names: Iterable[str], label: str) -> bool:
    """Return whether the label is among these names."""
    return any(same(name, label) for name in names)


def spelling(names: Iterable[str], label: str) -> str:
    """Return the label as one of these names spells it, or as it is given when none of them is the same."""
    return next((name for name in sorted(names) if same(name, label)), label)

"""Comparison of label names as GitHub does it: case-insensitive, with one spelling for each label in a repository.

Every comparison of a label name uses this module. Argo CD's own pull request generator, which `greenroom render`
uses, is case-sensitive. https://docs.github.com/en/issues/using-labels-and-milestones-to-track-work/managing-labels
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
    """Return the label in the spelling of these names, or unchanged when none of them is the same label."""
    return next((name for name in sorted(names) if same(name, label)), label)

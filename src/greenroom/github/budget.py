"""Budget of GraphQL points: GitHub's hourly limit, what remains of it, and what was spent. Pure.

https://docs.github.com/en/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api#primary-rate-limit
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Budget:
    """The budget after the last answer. `spent` is the total cost of all queries since the start."""

    limit: int
    remaining: int
    spent: int = 0


def budget(known: Budget | None, headers: Mapping[str, str]) -> Budget | None:
    """Return the budget after an answer with these headers, unchanged unless both numbers are there.

    GitHub Enterprise Server sends none when its administrator has set no limit, which is the default there.
    """
    limit, remaining = headers.get("x-ratelimit-limit", ""), headers.get("x-ratelimit-remaining", "")
    if not (_number(limit) and _number(remaining)):
        return known
    return Budget(int(limit), int(remaining), known.spent if known else 0)


def paid(known: Budget | None, answer: Mapping[str, Any]) -> Budget | None:
    """Return the budget after a query whose answer holds `rateLimit { cost limit remaining }`."""
    data = answer.get("data")
    told = data.get("rateLimit") if isinstance(data, dict) else None
    if not isinstance(told, dict):
        return known
    cost, limit, remaining = (told.get(key) for key in ("cost", "limit", "remaining"))
    if type(limit) is int and type(remaining) is int:
        known = Budget(limit, remaining, known.spent if known else 0)
    return replace(known, spent=known.spent + cost) if known and type(cost) is int else known


def _number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 19

"""What a scrape says of the budget that GitHub gives us."""

from __future__ import annotations

from prometheus_client import generate_latest

from greenroom.controller.status_store import Board
from greenroom.github.content_budget import ContentBudget
from greenroom.web.metrics import Metrics


def test_content_creating_requests_are_shown_against_what_github_takes() -> None:
    budget = ContentBudget(lambda: 5.0)
    budget.sent()
    scraped = generate_latest(Metrics(Board(), dict, writes=budget.spent).registry).decode()
    for window, limit in (("minute", 80), ("hour", 500)):
        assert f'greenroom_github_content_requests{{window="{window}"}} 1.0' in scraped
        assert f'greenroom_github_content_requests_limit{{window="{window}"}} {limit}.0' in scraped

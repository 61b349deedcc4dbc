"""Sentences in the record about our comment."""

from __future__ import annotations

from greenroom.core.comment.sanitize import plain
from greenroom.core.model.status import Reason


def duplicate_comment() -> Reason:
    return Reason("duplicate-comment", "Greenroom found a duplicate of its comment on the pull request.")


def comment_undelivered(why: str) -> Reason:
    return Reason("comment-undelivered", f"The comment on the pull request is out of date: {plain(why, 300)}")

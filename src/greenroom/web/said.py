"""What people are told after they changed a link: the same sentence on the page and in the terminal."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from greenroom.core.status import Stage, Status


def linked(answer: Mapping[str, Any], statuses: Collection[Status]) -> str:
    """What `Control.use` answered: what is noted and when it takes effect, or that it is not noted yet."""
    if not answer["done"]:
        return "Not noted yet: the comment that holds it could not be written. It is tried again by itself."
    service, to = str(answer["service"]), str(answer["to"])
    if answer["waits"]:
        now = f"{answer['preview']} keeps using {service} from {answer['now']}" if answer["now"] else "nothing changes"
        check = "Check the number if it should have one."
        return f"Noted, but {service}#{to} has no preview. Until it has one, {now}. {check}"
    source = f"{service}#{to}" if to.isdecimal() else "where it comes by default" if to == "default" else to
    own = next((s for s in statuses if s.name == answer["preview"] and _nothing_runs(s)), None)
    when = f"The preview is {own.stage}; it takes effect after that." if own else "It takes effect within seconds."
    return f"Noted: {service} from {source}. {when}"


def _nothing_runs(status: Status) -> bool:
    """Whether nothing could use another link now; a last good version takes one over while it serves."""
    return status.created is None or status.stage is Stage.ASLEEP

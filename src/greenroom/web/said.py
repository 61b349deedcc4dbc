"""What people are told after they changed a link: the same sentence on the page and in the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from greenroom.core.status import Status


def linked(answer: Mapping[str, Any], statuses: Iterable[Status]) -> str:
    """What `Control.use` answered: what is noted and when it takes effect, or that it is not noted yet."""
    if not answer["done"]:
        return "Not noted yet: the comment that holds it could not be written. It is tried again by itself."
    service, to = str(answer["service"]), str(answer["to"])
    if to == "default":
        return f"Noted: {service} from where it comes by default. It takes effect within seconds."
    if not to.isdecimal():
        return f"Noted: {service} from {to}. It takes effect within seconds."
    if _runs(service, int(to), statuses):
        return f"Noted: {service} from {service}#{to}. It takes effect within seconds."
    return f"Noted: {service} from {service}#{to}, once that has a preview that may be used."


def _runs(service: str, number: int, statuses: Iterable[Status]) -> bool:
    return any(s.number == number and any(r.service == service for r in s.services) for s in statuses)

"""Errors that Argo CD reports for an ApplicationSet, once they last.

Argo CD writes them to the set's conditions, where people do not look. Examples are a plugin whose name it cannot
resolve and a missing project. https://argo-cd.readthedocs.io/en/stable/operator-manual/applicationset/
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from greenroom import logs
from greenroom.argocd.client import Object
from greenroom.argocd.timing import DEFAULT

LENGTH = 300
"""Maximum length of a reported error, in characters. Argo CD's errors can contain entire responses."""
PORT = re.compile(r":\d+(?=->)")
REQUEST = re.compile(r"(?i)\b(request|trace)((?:[ _-]?id)?[ :=]+[\"']?)[\w-]*\d[\w-]*")


def error_of(found: Object | None) -> str:
    """Return Argo CD's own error for an ApplicationSet, without secrets; empty if there is none."""
    conditions = ((found or {}).get("status") or {}).get("conditions") or ()
    said = [
        str(c.get("message", "")) for c in conditions if (c.get("type"), c.get("status")) == ("ErrorOccurred", "True")
    ]
    told = stable("; ".join(m.strip().rstrip(".") for m in said if m))
    return told if len(told) <= LENGTH else f"{told[: LENGTH - 1].rsplit(maxsplit=1)[0]}…"


def stable(error: str) -> str:
    """Return an error without secrets, source ports and request ids. These differ each time, so it would look new."""
    return REQUEST.sub(r"\1\2...", PORT.sub("", logs.scrub(error)))


@dataclass(slots=True)
class Refusals:
    """Lasting errors by repository id. An error is reported once it has lasted for `lasts` seconds.

    Call `heard` with the current error of each set and a monotonic time.
    """

    lasts: float = DEFAULT.error_lasts
    known: dict[int, str] = field(default_factory=dict)
    _since: dict[int, float] = field(default_factory=dict)

    def heard(self, said: Mapping[int, str], now: float) -> set[int]:
        """Record the current errors of the sets that wait for Argo CD. Return the sets whose lasting error changed."""
        self._since = {i: self._since.get(i, now) for i, sentence in said.items() if sentence}
        lasting = {i: said[i] for i, since in self._since.items() if now - since >= self.lasts}
        changed = {i for i in lasting.keys() | self.known.keys() if lasting.get(i) != self.known.get(i)}
        self.known = lasting
        return changed

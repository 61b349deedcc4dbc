"""Where links lead, and who may call a preview."""

from __future__ import annotations

from collections.abc import Sequence

from greenroom.core.comment.sanitize import plain
from greenroom.core.messages.words import listed
from greenroom.core.model.spec import Link
from greenroom.core.model.status import Reason


def link_required(service: str, why: str) -> Reason:
    said = "" if why == "staging" else f" ({plain(why)})"
    return Reason(
        "link-required",
        f"This preview needs a preview of `{service}`, not staging{said}.",
        f"Comment `/preview use {service}#N` with the number of a pull request that has one.",
    )


def relinked(links: Sequence[tuple[Link, str]]) -> Reason:
    """Return which services come from elsewhere now. Each link is paired with its source: `shop#17` or `staging`."""
    said = "; ".join(f"{k.target} comes from {source} ({plain(k.why)})" for k, source in links)
    return Reason(
        "relinked", f"{said}." if said else "The previews that call this one changed, so its services are updated."
    )


def opened(namespaces: Sequence[str]) -> Reason:
    """Return which previews may call this one from now on."""
    who = f"only {listed(namespaces)} can" if namespaces else "no other preview can"
    return Reason("opened", f"From now on, {who} call it. Nothing restarts.")

"""The sentence that people read after they change a link, the same on the page and in the terminal."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from greenroom.core.linking.links import DEFAULT
from greenroom.core.model.status import Stage, Status


def data_reset(answer: Mapping[str, Any]) -> str:
    """Return the sentence for an answer of `Control.reset`."""
    if not answer["done"]:
        return (
            "The command is not saved yet, because Greenroom could not write and verify the comment that stores the"
            " command. Greenroom retries."
        )
    start = "the newest seed" if answer["action"] == "reseed" else "the same seed"
    needs = ", ".join(answer["needs"])
    return (
        f"Saved: {needs} of {answer['preview']} will start over from {start}, or empty if there is none."
        " The current data will be deleted."
    )


def linked(answer: Mapping[str, Any], statuses: Collection[Status]) -> str:
    """Return the sentence for an answer of `Control.use`.

    It says what is saved and when that takes effect, or that it is not saved yet.
    """
    if not answer["done"]:
        return (
            "The change is not saved yet, because Greenroom could not write and verify the comment that stores the"
            " change. Greenroom retries."
        )
    service, target = str(answer["service"]), str(answer["target"])
    if answer["waits"]:
        now = f"{answer['preview']} keeps using {service} from {answer['now']}" if answer["now"] else "nothing changes"
        check = f"If {target} should have a preview, check the number."
        return f"Saved, but {target} has no preview. Until {target} has a preview, {now}. {check}"
    own = next((s for s in statuses if s.name == answer["preview"] and _nothing_runs(s)), None)
    when = "within seconds"
    if own:
        when = f"when the preview {'wakes up' if own.stage is Stage.ASLEEP else 'starts'} (it is {own.stage} now)"
    what = (
        f"the choice for {service} is removed. The configuration decides the target of the link"
        if target == DEFAULT
        else f"the link to {service} points to {target}"
    )
    return f"Saved: {what}. The change takes effect {when}."


def _nothing_runs(status: Status) -> bool:
    """Return whether nothing could use another link now. A last good version that serves picks one up."""
    return status.created is None or status.stage is Stage.ASLEEP

"""Argo CD's reports about its work on one Application: a refusal, and the operation that runs.

https://argo-cd.readthedocs.io/en/stable/operator-manual/application.yaml names the fields.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from greenroom.argocd.client import Object

ERRORS = ("ComparisonError", "InvalidSpecError", "UnknownError")


def refusal(application: Object) -> str:
    """Return one sentence that says why Argo CD could not apply the spec; empty when it did, or is still working."""
    status = application.get("status") or {}
    for condition in status.get("conditions") or ():
        if condition.get("type") in ERRORS:
            # Leave out the failed command, which names a different temporary file each time.
            said = re.sub(r"^.*`[^`]*` failed (exit status \d+: )?", "", str(condition.get("message", "")), flags=re.S)
            # InvalidSpecError also means a chart or a destination that the AppProject does not allow.
            invalid = condition["type"] == "InvalidSpecError"
            what = "rejected the preview's Application" if invalid else "cannot render the preview"
            return f"Argo CD {what}: {said.strip().rstrip('.')}."
    found = operation(application)
    if failed(application) and operates_on_spec(application):
        resources = [
            f"{r.get('kind')} {r.get('name')}: {str(r.get('message', '')).rstrip('.')}"
            for r in (found.get("syncResult") or {}).get("resources") or ()
            if r.get("status") == "SyncFailed"
        ]
        why = "; ".join(resources[:3]) or str(found.get("message", "")).rstrip(".")
        return f"Argo CD could not apply the preview: {why}."
    return ""


def operation(application: Object) -> Object:
    """Return the running or last operation; empty when there was none."""
    found: Object = (application.get("status") or {}).get("operationState") or {}
    return found


def failed(application: Object) -> bool:
    """Return whether the last operation ended with an error."""
    return operation(application).get("phase") in ("Failed", "Error")


def operates_on_spec(application: Object) -> bool:
    """Return whether the operation works on the spec that the Application has now, as far as Argo CD says."""
    found = operation(application)
    source = (found.get("syncResult") or {}).get("source") or ((found.get("operation") or {}).get("sync") or {}).get(
        "source"
    )
    return source is None or _values(source) == _values(application["spec"].get("source") or {})


def manual_parameters(application: Object) -> tuple[tuple[str, str], ...]:
    """Return the Helm parameters that people set in Argo CD, by name."""
    helm = ((application["spec"].get("source") or {}).get("helm")) or {}
    return tuple(sorted((p.get("name", ""), p.get("value", "")) for p in helm.get("parameters") or ()))


def _values(source: Mapping[str, object]) -> object:
    helm = source.get("helm") or {}
    return helm.get("values") if isinstance(helm, dict) else None

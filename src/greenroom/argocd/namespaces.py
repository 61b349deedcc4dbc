"""The reason why a namespace that is being deleted still exists, as Kubernetes reports it."""

from __future__ import annotations

from greenroom.argocd.client import Object


def held_by(namespace: Object) -> str:
    """Return one sentence that says why a namespace that is being deleted still exists."""
    name, status = namespace["metadata"]["name"], namespace.get("status") or {}
    said = [
        str(c.get("message", "")).rstrip(".")
        for c in status.get("conditions") or ()
        if c.get("status") == "True" and c.get("type", "").startswith("Namespace")
    ]
    finalizers = namespace["metadata"].get("finalizers") or ()
    said += [f"the finalizer {f} is on it" for f in finalizers]
    return f"The namespace {name} is still there: {'; '.join(said) or 'it is being deleted'}."

"""The settings of the Argo CD engine."""

from __future__ import annotations

from dataclasses import dataclass

from greenroom.argocd.applicationset import InstallationSpec
from greenroom.argocd.seed_jobs import BuildSettings


@dataclass(frozen=True, slots=True)
class ArgoSettings:
    """The settings of this engine. `holder` names the process in the Lease; `probe` is as in the configuration.

    `object_namespace` is where the Preview objects are, if not in Argo CD's own namespace. `builds` is None if seed
    images are not built in the cluster.
    """

    frame: InstallationSpec
    chart_version: str
    scheme: str
    probe: str
    kubeconfig: str
    previews_kubeconfig: str
    holder: str
    logs: bool
    delete_orphans: bool = False
    object_namespace: str = ""
    builds: BuildSettings | None = None

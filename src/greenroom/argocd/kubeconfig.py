"""The way to a cluster: lightkube reads the configuration and provides tokens and certificates."""

from __future__ import annotations

from pathlib import Path

from greenroom.argocd.client import TIMEOUT, Kube
from greenroom.errors import FixConfiguration, Mistake


def connect(kubeconfig: str) -> Kube:
    """Return a client from a kubeconfig file, or from the pod's own ServiceAccount when `kubeconfig` is empty.

    Raise `FixConfiguration` if that cannot be used.
    """
    try:
        from lightkube.config.client_adapter import AsyncClient, ConnectionParams
        from lightkube.config.kubeconfig import KubeConfig
    except ImportError:
        sentence = "`engine: argocd` needs the extra `cluster`, which is not installed."
        fix = "Install it: pip install 'PATH/OF/THE/CLONE[cluster]'."
        raise FixConfiguration(sentence, (Mistake("greenroom.yaml", "engine", sentence, fix),)) from None
    try:
        found = KubeConfig.from_file(Path(kubeconfig)) if kubeconfig else KubeConfig.from_service_account()
        config = found.get()
        if config is None or config.user is None:
            raise ValueError("it does not name a user")
        client = AsyncClient(config, ConnectionParams(timeout=TIMEOUT, trust_env=False))
    except Exception as error:  # lightkube's, PyYAML's, KeyError, OSError: each means that the file is unusable
        where = kubeconfig or "the pod's ServiceAccount"
        sentence = f"Greenroom cannot use {where} to connect to Kubernetes ({error})."
        fix = (
            "Run Greenroom in a pod with a ServiceAccount, or set `argocd.kubeconfig` to the path of a valid kubeconfig"
            " file."
        )
        raise FixConfiguration(sentence, (Mistake("greenroom.yaml", "argocd.kubeconfig", sentence, fix),)) from None
    return Kube(client)

"""The logins that `docker login` and its like have stored.

https://docs.docker.com/reference/cli/docker/login/#credential-stores
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
from pathlib import Path
from typing import Any

from greenroom.errors import FixConfiguration
from greenroom.registry.access import Credentials
from greenroom.registry.references import HUB

_HUB_KEY = "https://index.docker.io/v1/"
HELPER_SECONDS = 30


def stored_login(host: str) -> Credentials | None:
    """Return the login for a registry host from Docker's configuration or its credential helper, or None."""
    path = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker") / "config.json"
    try:
        config = json.loads(path.read_bytes())
        keys = (_HUB_KEY, "docker.io", HUB) if host == HUB else (host, f"https://{host}")
        helpers = config.get("credHelpers") or {}
        helper = next((helpers[key] for key in keys if key in helpers), config.get("credsStore"))
        found = next((config["auths"][key] for key in keys if key in (config.get("auths") or {})), None)
        if found and found.get("auth"):
            user, _, password = base64.b64decode(found["auth"]).decode().partition(":")
            return Credentials(user, password)
        return _from_helper(str(helper), keys[0]) if helper else None
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise FixConfiguration(
            f"{path} cannot be read ({type(error).__name__}). Correct it, or log in again with `docker login`."
        ) from None


def _from_helper(helper: str, key: str) -> Credentials | None:
    try:
        answer = subprocess.run(
            [f"docker-credential-{helper}", "get"],
            input=key.encode(),
            capture_output=True,
            timeout=HELPER_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):  # it exits with 1 for a host that it does not know
        return None
    found: dict[str, Any] = json.loads(answer.stdout)
    return Credentials(str(found["Username"]), str(found["Secret"]))

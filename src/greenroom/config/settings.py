"""Settings that Greenroom needs to run and `core/` must not know: addresses, credentials, folders, the engine."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from greenroom.config import reading
from greenroom.errors import FixConfiguration, Mistake

NO_CHART = Mistake(
    "greenroom.yaml",
    "argocd.chart",
    "the preview chart is not set.",
    "Write `argocd: { chart: oci://HOST/PATH/preview, chartVersion: 0.1.0 }`. `chart:` can also be a git URL with the"
    " path after `//`.",
)
NO_VERSION = Mistake(
    "greenroom.yaml",
    "argocd.chartVersion",
    "is missing.",
    "Write the exact version of the chart: an OCI tag, or a git tag or commit.",
)

NO_HISTORY = (
    "is not a valid history URL.",
    "Write `postgresql+psycopg://HOST/DATABASE`, or `sqlite+aiosqlite:///FILE`.",
)


def is_history(url: str) -> bool:
    """Return whether a history can be at a URL: PostgreSQL with psycopg, or a SQLite file, never one in memory."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:  # an invalid port or bracket
        return False
    if parts.scheme == "sqlite+aiosqlite":
        return not parts.netloc and bool(parts.path.strip("/"))
    return parts.scheme == "postgresql+psycopg" and port != 0


class Secret:
    """A secret value that does not print itself."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the value. Call this only where the value is sent."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(...)"


MAX_SECRET = 65_536  # bytes; private keys have a few thousand


@dataclass(frozen=True, slots=True)
class SecretSource:
    """The source of a secret: an environment variable or a file. `purpose` names the secret in error messages."""

    purpose: str
    env: str = ""
    file: str = ""

    def read(self) -> Secret:
        """Return the secret, stripped. Raise `FixConfiguration` when it is missing or empty."""
        if self.file:
            try:
                content = reading.stream(Path(self.file), MAX_SECRET)
                if len(content) > MAX_SECRET:
                    raise _missing(f"{self.file} is longer than {MAX_SECRET} bytes", self)
                value = content.decode().strip()
            except OSError as error:
                raise _missing(f"{self.file} cannot be read ({error.strerror})", self) from None
            except ValueError:
                raise _missing(f"{self.file} is not a text file", self) from None
        else:
            value = os.environ.get(self.env, "").strip()
        if not value:
            raise _missing(f"{self.file or self.env} is empty or not set", self)
        return Secret(value)


def _missing(what: str, source: SecretSource) -> FixConfiguration:
    fix = (
        f"Write only the secret to {source.file}, and make sure that Greenroom can read the file."
        if source.file
        else f"Set it: export {source.env}=..."
    )
    return FixConfiguration(what, (Mistake("greenroom.yaml", "", f"{source.purpose}: {what}.", fix),))


@dataclass(frozen=True, slots=True)
class GitHubSettings:
    """Settings for GitHub. `api_url` has no trailing slash."""

    api_url: str
    token: SecretSource
    webhook_secrets: tuple[SecretSource, ...]
    signing_key: SecretSource
    older_keys: tuple[SecretSource, ...] = ()


@dataclass(frozen=True, slots=True)
class RegistryCredentials:
    """A user and the source of the password for one registry host."""

    user: str
    password: SecretSource


@dataclass(frozen=True, slots=True)
class RegistrySettings:
    """Settings for registries. `insecure` hosts use plain HTTP; `realms` are further hosts that may issue tokens."""

    insecure: tuple[str, ...] = ()
    realms: tuple[str, ...] = ()
    credentials: Mapping[str, RegistryCredentials] | None = None


@dataclass(frozen=True, slots=True)
class Listen:
    """Addresses as host:port. Port 0 picks a free port."""

    webhook: str = "127.0.0.1:8080"
    plugin: str = "127.0.0.1:8081"
    dashboard: str = "127.0.0.1:8082"
    admin: str = "127.0.0.1:8083"
    metrics: str = "127.0.0.1:8084"


@dataclass(frozen=True, slots=True)
class LocalEngineSettings:
    """Settings of the local engine. `checkouts` maps owner/name to a git repository on this machine."""

    checkouts: Mapping[str, Path]
    proxy_port: int = 8000
    probe_timeout: timedelta = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class ArgoCDSettings:
    """The place of Argo CD and its Applications' settings. `probe` is `public`, `none`, or the ingress's base URL."""

    namespace: str
    project: str
    destination: str
    chart: str
    plugin: str
    kubeconfig: str
    previews_kubeconfig: str
    object_namespace: str
    sweep: str
    probe: str
    token: SecretSource


@dataclass(frozen=True, slots=True)
class SeedSettings:
    """Namespace of the Jobs that build seed images, and the name of the Secret with their credentials."""

    namespace: str
    secret: str


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of this instance."""

    engine: str
    state: Path
    database: str
    github: GitHubSettings
    registry: RegistrySettings
    listen: Listen
    local: LocalEngineSettings
    resync: timedelta
    argocd: ArgoCDSettings
    database_source: SecretSource | None = None
    seeds: SeedSettings | None = None

    @property
    def history(self) -> str:
        """Return the history's URL. Raise `FixConfiguration` when its secret is missing or is not such a URL."""
        if self.database_source is None:
            return self.database
        url = self.database_source.read().reveal()
        if not is_history(url):  # the message omits the value, which may hold a password
            place = self.database_source.file or self.database_source.env
            what, fix = NO_HISTORY
            raise FixConfiguration(
                what, (Mistake("greenroom.yaml", "databaseFrom", f"the value of {place} {what}", fix),)
            )
        return url

"""`greenroom.yaml`: the shape of the platform team's decisions, and how they become core values and settings."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from greenroom.config import secrecy
from greenroom.config.addresses import ApiUrl, Domain, Host, Listener, Loopback, OptionalUrl, Url
from greenroom.config.cluster import (
    ArgoCDModel,
    DefaultsModel,
    ExternalSecretsModel,
    IngressModel,
    NetworkModel,
    QuotaModel,
    ReaderModel,
    SchedulingModel,
    StorageModel,
    chart_settings,
)
from greenroom.config.fields import NAME, OBJECT, SOURCE, Duration, DurationOrNever, ImageName, Model
from greenroom.config.needs import KINDS, nearest
from greenroom.config.settings import (
    NO_HISTORY,
    ArgoCDSettings,
    GitHubSettings,
    Listen,
    LocalEngineSettings,
    RegistryCredentials,
    RegistrySettings,
    SecretSource,
    Settings,
    is_history,
)
from greenroom.core import catalogue


class SourceModel(Model):
    """Where a secret is; never the secret itself."""

    env: str = Field("", pattern=SOURCE, description="An environment variable.")
    file: str = Field("", description="A file, such as a mounted Secret.")

    @field_validator("env", "file")
    @classmethod
    def _a_place(cls, value: str) -> str:
        if secrecy.looks_secret(value):
            raise ValueError("is a value, not a place.")
        return value

    @model_validator(mode="after")
    def _one(self) -> SourceModel:
        if bool(self.env) == bool(self.file):
            raise ValueError("needs exactly one of `env:` and `file:`. Secrets themselves are never in this file.")
        return self

    def source(self, purpose: str) -> SecretSource:
        """The source as a setting."""
        return SecretSource(purpose, self.env, self.file)


class GitHubModel(Model):
    """How GitHub is reached."""

    api_url: ApiUrl = Field("https://api.github.com", description="https://HOST/api/v3 for GitHub Enterprise Server.")
    token_from: SourceModel = Field(SourceModel(env="GREENROOM_GITHUB_TOKEN"), description="Where the token is.")
    webhook_secrets_from: tuple[SourceModel, ...] = Field(
        (SourceModel(env="GREENROOM_WEBHOOK_SECRET"),), min_length=1, max_length=2, description="Two while rotating."
    )
    signing_key_from: SourceModel = Field(
        SourceModel(env="GREENROOM_SIGNING_KEY"), description="Signs the hidden block of the comment."
    )
    older_signing_keys_from: tuple[SourceModel, ...] = Field((), description="Still accepted, signed anew.")


class CredentialsModel(Model):
    """Credentials of one registry host."""

    user: str = Field(description="The user's name.")
    password_from: SourceModel = Field(description="Where the password is.")


class RegistryModel(Model):
    """How registries are reached."""

    insecure: tuple[Host, ...] = Field((), description="Hosts that speak plain HTTP.")
    realms: tuple[Host, ...] = Field((), description="Further hosts that may issue tokens.")
    credentials: dict[Host, CredentialsModel] = Field({}, description="Credentials by host.")


class LifetimeModel(Model):
    """When a preview goes by itself."""

    inactive_after: DurationOrNever = Field(
        "3d", validate_default=True, description="After this long without activity; `never` switches it off."
    )
    warn_before: Duration = Field("1d", validate_default=True, description="How long before that people are told.")
    max_age: DurationOrNever = Field(
        "30d", validate_default=True, description="The greatest age; `never` switches it off."
    )
    keep_label: str = Field("preview-keep", min_length=1, description="This label exempts from inactivity.")
    sleep_label: str = Field("preview-sleep", min_length=1, description="This label puts a preview to sleep.")

    @model_validator(mode="after")
    def _warns_in_time(self) -> LifetimeModel:
        if self.inactive_after is not None and self.warn_before >= self.inactive_after:
            raise ValueError("warnBefore is not shorter than inactiveAfter. Make it shorter, such as a third of it.")
        return self


class LimitsModel(Model):
    """How many previews may exist at once."""

    total: int = Field(50, ge=1, description="In all.")
    per_repository: int = Field(20, ge=1, description="Of one repository.")
    per_author: int = Field(5, ge=1, description="Of one author.")


class ListenModel(Model):
    """Addresses as host:port."""

    webhook: Listener = Field("127.0.0.1:8080", description="POST /webhook; open this one to GitHub.")
    plugin: Listener = Field("127.0.0.1:8081", description="Argo CD asks here for rows; with `engine: argocd`.")
    dashboard: Loopback = Field("127.0.0.1:8082", description="Loopback only.")
    admin: Loopback = Field("127.0.0.1:8083", description="The command line's; loopback only.")
    metrics: Listener = Field("127.0.0.1:8084", description="/metrics, /healthz, /readyz.")


class LocalModel(Model):
    """The local engine, for demos and laptops."""

    checkouts: dict[str, str] = Field({}, description="owner/name to the path of a git repository.")
    proxy_port: int = Field(8000, ge=0, le=65535, description="Where previews answer; 0 takes a free port.")
    probe_timeout: Duration = Field("30s", validate_default=True, description="How long a version may take to answer.")


def _kind(name: str) -> str:
    if name not in KINDS:
        near = nearest(name)
        fix = f"Did you mean `{near}`?" if near else f"Known: {', '.join(KINDS)}."
        raise ValueError(f"there is no need of the kind `{name}`. {fix}")
    return name


class StagingModel(Model):
    """Where a shared service answers."""

    url: Url = Field(description="Its URL for calls between servers; inside the cluster it may be another one.")
    public: OptionalUrl = Field("", description="Its URL for browsers; `url` when empty.")


def _staging(value: Any) -> Any:
    return {"url": value} if isinstance(value, str) else value


class PlatformModel(Model):
    """The whole of greenroom.yaml."""

    installation: str = Field(pattern=NAME, max_length=30, description="Names this installation in labels and markers.")
    domain: Domain = Field(description="Previews answer at SERVICE-pr-N.DOMAIN.")
    label: str = Field("preview", min_length=1, description="The label that asks for a preview.")
    name_prefix: str = Field("preview", pattern=NAME, max_length=20, description="Namespaces are PREFIX-NAME-NUMBER.")
    scheme: Literal["http", "https"] = Field("https", description="How addresses begin.")
    engine: Literal["argocd", "local"] = Field("argocd", description="What runs previews.")
    repositories: dict[Annotated[str, Field(pattern=NAME, max_length=30)], str] = Field(
        {},
        description="Short names of repositories; the default is the name of the repository, `web-app` for Web.App.",
    )
    staging: dict[str, Annotated[StagingModel, BeforeValidator(_staging)]] = Field(
        {}, description="The shared staging URL of each service that others use."
    )
    github: GitHubModel = Field(GitHubModel(), description="How GitHub is reached.")
    registry: RegistryModel = Field(RegistryModel(), description="How registries are reached.")
    lifetime: LifetimeModel = Field(LifetimeModel(), description="When a preview goes by itself.")
    limits: LimitsModel = Field(LimitsModel(), description="How many may exist at once.")
    scheduling: SchedulingModel = Field(SchedulingModel(), description="Where preview pods run.")
    drafts: bool = Field(False, description="Whether drafts get previews.")
    bots: tuple[str, ...] = Field((), description="Bots that may have previews, such as renovate[bot].")
    argocd: ArgoCDModel = Field(ArgoCDModel(), description="Where Argo CD is.")
    plugin_token_from: SourceModel = Field(
        SourceModel(env="GREENROOM_PLUGIN_TOKEN"), description="What Argo CD shows when it asks for rows."
    )
    ingress: IngressModel = Field(IngressModel(), description="How people reach previews in a cluster.")
    network: NetworkModel = Field(NetworkModel(), description="What previews may reach.")
    quota: QuotaModel = Field(QuotaModel(), description="The most that one preview may ask for.")
    images: dict[Annotated[str, AfterValidator(_kind)], ImageName] = Field(
        {}, description="Where the images of needs come from, by kind, in place of Docker Hub: a mirror of yours."
    )
    storage: StorageModel | None = Field(None, description="The volumes of needs with persistent storage.")
    defaults: DefaultsModel = Field(DefaultsModel(), description="What a process asks for that says nothing.")
    image_pull_secrets: tuple[Annotated[str, Field(pattern=OBJECT, max_length=253)], ...] = Field(
        (), description="Names of Secrets in the preview's namespace that images are pulled with."
    )
    external_secrets: ExternalSecretsModel = Field(ExternalSecretsModel(), description="Where Secrets come from.")
    reader: ReaderModel = Field(ReaderModel(), description="Who may read logs in previews.")
    listen: ListenModel = Field(ListenModel(), description="Where Greenroom listens.")
    database: str = Field("", description="The history's URL; a SQLite file in `state` when empty.")
    database_from: SourceModel | None = Field(None, description="Where the history's URL is, in place of `database`.")
    state: str = Field(".greenroom", description="The folder for what this instance keeps.")
    local: LocalModel = Field(LocalModel(), description="The local engine.")
    resync: Duration = Field("10m", validate_default=True, description="How often everything is read anew.")

    @field_validator("database")
    @classmethod
    def _a_history(cls, value: str) -> str:
        if secrecy.looks_secret(value):
            raise ValueError(" ".join(secrecy.no_place("databaseFrom")))
        if value and not is_history(value):
            raise ValueError(" ".join(NO_HISTORY))
        return value

    @field_validator("resync")
    @classmethod
    def _not_too_often(cls, value: timedelta) -> timedelta:
        if value < timedelta(seconds=1):
            raise ValueError("shorter than a second. Write at least `1s`; `10m` suits GitHub.")
        return value


UNKNOWN = PlatformModel(installation="unknown", domain="example.com")  # in place of a file that cannot be read
KEYS = tuple(field.alias or name for name, field in PlatformModel.model_fields.items())


def to_core(model: PlatformModel, repositories: tuple[catalogue.Repository, ...]) -> catalogue.Platform:
    """The decisions as core values."""
    life, limits = model.lifetime, model.limits
    return catalogue.Platform(
        installation=model.installation,
        domain=model.domain,
        repositories=repositories,
        label=model.label,
        prefix=model.name_prefix,
        scheme=model.scheme,
        port=model.local.proxy_port if model.engine == "local" else None,
        staging=tuple((s, catalogue.Staging(m.url, m.public or m.url)) for s, m in sorted(model.staging.items())),
        lifetime=catalogue.Lifetime(
            life.inactive_after, life.warn_before, life.max_age, life.keep_label, life.sleep_label
        ),
        limits=catalogue.Limits(limits.total, limits.per_repository, limits.per_author),
        policy=catalogue.Policy(model.drafts, frozenset(model.bots)),
        cluster=catalogue.Cluster(model.argocd.chart_version, _chart_settings(model)),
        inside="http://{host}" if model.engine == "local" else "http://{service}.{namespace}:{port}",
    )


def _chart_settings(model: PlatformModel) -> str:
    return chart_settings(
        model.ingress,
        model.network,
        model.scheduling,
        model.quota,
        model.defaults,
        model.external_secrets,
        model.reader,
        model.images,
        model.storage,
        model.image_pull_secrets,
    )


def to_settings(model: PlatformModel, folder: Path) -> Settings:
    """How this instance runs; paths are relative to the configuration's folder."""
    state = folder / model.state
    github, registry = model.github, model.registry
    return Settings(
        engine=model.engine,
        state=state,
        database=model.database or f"sqlite+aiosqlite:///{(state / 'history.sqlite3').absolute()}",
        database_source=model.database_from.source("The history's URL") if model.database_from else None,
        github=GitHubSettings(
            api_url=github.api_url.rstrip("/"),
            token=github.token_from.source("The GitHub token"),
            webhook_secrets=tuple(s.source("The webhook secret") for s in github.webhook_secrets_from),
            signing_key=github.signing_key_from.source("The signing key"),
            older_keys=tuple(s.source("An older signing key") for s in github.older_signing_keys_from),
        ),
        registry=RegistrySettings(
            registry.insecure,
            registry.realms,
            {
                host: RegistryCredentials(c.user, c.password_from.source(f"The password for {host}"))
                for host, c in registry.credentials.items()
            },
        ),
        listen=Listen(
            model.listen.webhook, model.listen.plugin, model.listen.dashboard, model.listen.admin, model.listen.metrics
        ),
        local=LocalEngineSettings(
            {slug: folder / path for slug, path in model.local.checkouts.items()},
            model.local.proxy_port,
            model.local.probe_timeout,
        ),
        resync=model.resync,
        argocd=ArgoCDSettings(
            namespace=model.argocd.namespace,
            project=model.argocd.project,
            destination=model.argocd.destination,
            chart=model.argocd.chart,
            plugin=model.argocd.plugin,
            kubeconfig=model.argocd.kubeconfig,
            previews_kubeconfig=model.argocd.previews_kubeconfig,
            sweep=model.argocd.sweep,
            probe=model.ingress.probe,
            token=model.plugin_token_from.source("The token of Argo CD's plugin"),
        ),
    )

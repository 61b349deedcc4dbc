"""Models of `greenroom.yaml`, the platform team's decisions, and their conversion to core values and settings."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from greenroom.config import redaction
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
from greenroom.config.fields import NAME, OBJECT, SOURCE, Duration, DurationOrNever, ImageName, Model, url_alone
from greenroom.config.needs import nearest
from greenroom.config.settings import (
    NO_HISTORY,
    ArgoCDSettings,
    GitHubSettings,
    Listen,
    LocalEngineSettings,
    RegistryCredentials,
    RegistrySettings,
    SecretSource,
    SeedSettings,
    Settings,
    is_history,
)
from greenroom.core.model import catalog
from greenroom.core.model.kinds import KINDS


class SourceModel(Model):
    """The source of a secret, never the secret itself."""

    env: str = Field("", pattern=SOURCE, description="The name of an environment variable.")
    file: str = Field("", description="The path of a file, such as a mounted Secret.")

    @field_validator("env", "file")
    @classmethod
    def _a_place(cls, value: str) -> str:
        if redaction.looks_secret(value):
            raise ValueError("must be a source, not a value.")
        return value

    @model_validator(mode="after")
    def _one(self) -> SourceModel:
        if bool(self.env) == bool(self.file):
            raise ValueError("needs exactly one of `env:` and `file:`. Keep the secret itself out of this file.")
        return self

    def source(self, purpose: str) -> SecretSource:
        """Return the source as a setting."""
        return SecretSource(purpose, self.env, self.file)


class GitHubModel(Model):
    """Connection to GitHub."""

    api_url: ApiUrl = Field(
        "https://api.github.com", description="The URL of the API. For GitHub Enterprise Server: https://HOST/api/v3."
    )
    token_from: SourceModel = Field(SourceModel(env="GREENROOM_GITHUB_TOKEN"), description="The source of the token.")
    webhook_secrets_from: tuple[SourceModel, ...] = Field(
        (SourceModel(env="GREENROOM_WEBHOOK_SECRET"),),
        min_length=1,
        max_length=2,
        description="The sources of the webhook secret. Set two during a rotation.",
    )
    signing_key_from: SourceModel = Field(
        SourceModel(env="GREENROOM_SIGNING_KEY"),
        description="The source of the key that signs the hidden data in Greenroom's comments.",
    )
    older_signing_keys_from: tuple[SourceModel, ...] = Field(
        (),
        description="The sources of older keys. Greenroom accepts signatures made with these keys, and re-signs the"
        " data with the current key.",
    )


class CredentialsModel(Model):
    """Credentials of one registry host."""

    user: str = Field(description="The user name.")
    password_from: SourceModel = Field(description="The source of the password.")


class RegistryModel(Model):
    """Connection to registries."""

    insecure: tuple[Host, ...] = Field((), description="Hosts that use plain HTTP.")
    realms: tuple[Host, ...] = Field((), description="Additional hosts that may issue tokens for registries.")
    credentials: dict[Host, CredentialsModel] = Field({}, description="Credentials by host.")


class LifetimeModel(Model):
    """When Greenroom removes a preview automatically."""

    inactive_after: DurationOrNever = Field(
        "3d",
        validate_default=True,
        description="How long a preview may be inactive before it is removed. `never` disables the removal.",
    )
    warn_before: Duration = Field(
        "1d", validate_default=True, description="The time between Greenroom's warning and the removal."
    )
    max_age: DurationOrNever = Field(
        "30d",
        validate_default=True,
        description="The maximum age of a preview. Older previews are removed. `never` disables the limit.",
    )
    keep_label: str = Field(
        "preview-keep", min_length=1, description="The label that prevents the removal of an inactive preview."
    )
    sleep_label: str = Field("preview-sleep", min_length=1, description="The label that puts a preview to sleep.")

    @model_validator(mode="after")
    def _warns_in_time(self) -> LifetimeModel:
        if self.inactive_after is not None and self.warn_before >= self.inactive_after:
            raise ValueError(
                "warnBefore must be shorter than inactiveAfter. For example, set it to a third of inactiveAfter."
            )
        return self


class SeedsModel(Model):
    """Images with the data that databases start from. See docs/seeds.md."""

    image: ImageName = Field(description="The image name without a tag. Greenroom looks up one tag for each seed.")
    build: Literal["ci", "cluster"] = Field(
        "ci",
        description="What builds missing images: `ci` for the repository's workflow, `cluster` for Greenroom itself.",
    )
    namespace: Annotated[str, Field(pattern=NAME, max_length=63)] = Field(
        "greenroom-seeds", description="The namespace that seed builds run in. Only used with `build: cluster`."
    )
    secret: Annotated[str, Field(pattern=OBJECT, max_length=253)] = Field(
        "greenroom-seeds",
        description="The Secret that seed builds use. The Secret is in `seeds.namespace` and has the keys"
        " `github-token` and `docker-config`.",
    )
    logins: Literal["private", "always"] = Field(
        "private",
        description="Whether comments list the seeds' `logins`: `private` for private repositories only, `always` for"
        " all repositories.",
    )


class LimitsModel(Model):
    """Limits on how many previews may exist at once."""

    total: int = Field(50, ge=1, description="The limit across all repositories.")
    per_repository: int = Field(20, ge=1, description="The limit per repository.")
    per_author: int = Field(5, ge=1, description="The limit per author.")


class ListenModel(Model):
    """The addresses that Greenroom listens on, as host:port."""

    webhook: Listener = Field(
        "127.0.0.1:8080", description="The address of POST /webhook. GitHub must be able to reach it."
    )
    plugin: Listener = Field(
        "127.0.0.1:8081", description="The address from which Argo CD fetches the specs of previews."
    )
    dashboard: Loopback = Field("127.0.0.1:8082", description="The address of the dashboard. Loopback only.")
    admin: Loopback = Field(
        "127.0.0.1:8083", description="The address that the command line connects to. Loopback only."
    )
    metrics: Listener = Field("127.0.0.1:8084", description="The address of /metrics, /healthz and /readyz.")


class LocalModel(Model):
    """The local engine, for demos and laptops."""

    checkouts: dict[str, str] = Field({}, description="The path of each repository's local clone, keyed by owner/name.")
    proxy_port: int = Field(8000, ge=0, le=65535, description="The port that previews listen on. 0 picks a free port.")
    probe_timeout: Duration = Field(
        "30s", validate_default=True, description="How long a new version may take to respond."
    )


def _kind(name: str) -> str:
    if name not in KINDS:
        near = nearest(name)
        fix = f"Did you mean `{near}`?" if near else f"Known kinds: {', '.join(KINDS)}."
        raise ValueError(f"`{name}` is not a known kind of need. {fix}")
    return name


class StagingModel(Model):
    """The addresses of a shared service."""

    url: Url = Field(description="The URL for calls between servers. It may be an address inside the cluster.")
    public: OptionalUrl = Field("", description="The URL for browsers. If empty, `url`.")


class PlatformModel(Model):
    """The whole of greenroom.yaml."""

    installation: str = Field(
        pattern=NAME,
        max_length=30,
        description="The name of this installation, used in labels and in Greenroom's comments.",
    )
    domain: Domain = Field(description="The domain of preview addresses: SERVICE-pr-N.DOMAIN.")
    label: str = Field("preview", min_length=1, description="The label that requests a preview.")
    name_prefix: str = Field(
        "preview", pattern=NAME, max_length=20, description="The prefix of namespaces: PREFIX-NAME-NUMBER."
    )
    scheme: Literal["http", "https"] = Field("https", description="The scheme of preview addresses.")
    engine: Literal["argocd", "local"] = Field("argocd", description="The engine that runs previews.")
    repositories: dict[Annotated[str, Field(pattern=NAME, max_length=30)], str] = Field(
        {},
        description="Short names of repositories. Default: derived from their names, such as `web-app` for Web.App.",
    )
    staging: dict[str, Annotated[StagingModel, BeforeValidator(url_alone)]] = Field(
        {}, description="The shared staging URL of each service that other services use."
    )
    github: GitHubModel = Field(GitHubModel(), description="Connection to GitHub.")
    registry: RegistryModel = Field(RegistryModel(), description="Connection to registries.")
    lifetime: LifetimeModel = Field(LifetimeModel(), description="When Greenroom removes a preview automatically.")
    limits: LimitsModel = Field(LimitsModel(), description="Limits on how many previews may exist at once.")
    scheduling: SchedulingModel = Field(SchedulingModel(), description="Placement of preview pods.")
    drafts: bool = Field(False, description="Whether draft pull requests get previews.")
    prepare: bool = Field(
        True,
        description="Whether a preview is prepared while CI builds its first images. Requires `engine: argocd`.",
    )
    bots: tuple[str, ...] = Field(
        (),
        description="Bots, such as renovate[bot], that may add the label and whose own pull requests may get previews.",
    )
    argocd: ArgoCDModel = Field(ArgoCDModel(), description="The location of Argo CD.")
    plugin_token_from: SourceModel = Field(
        SourceModel(env="GREENROOM_PLUGIN_TOKEN"),
        description="The source of the token that Argo CD sends when it fetches specs.",
    )
    ingress: IngressModel = Field(IngressModel(), description="Routing of traffic to previews in a cluster.")
    network: NetworkModel = Field(NetworkModel(), description="Outgoing network access of previews.")
    quota: QuotaModel = Field(QuotaModel(), description="The resource quota of one preview.")
    images: dict[Annotated[str, AfterValidator(_kind)], ImageName] = Field(
        {}, description="The image for each kind of need, for example in your own mirror of Docker Hub."
    )
    seeds: SeedsModel | None = Field(None, description="Images with the data that databases start from.")
    storage: StorageModel | None = Field(None, description="The volumes of needs with persistent storage.")
    defaults: DefaultsModel = Field(DefaultsModel(), description="Default resources of processes.")
    image_pull_secrets: tuple[Annotated[str, Field(pattern=OBJECT, max_length=253)], ...] = Field(
        (), description="The names of the image pull Secrets in the preview's namespace."
    )
    external_secrets: ExternalSecretsModel = Field(
        ExternalSecretsModel(), description="The External Secrets store that provides the previews' Secrets."
    )
    reader: ReaderModel = Field(ReaderModel(), description="The ServiceAccount that may read the logs of previews.")
    listen: ListenModel = Field(ListenModel(), description="The addresses that Greenroom listens on.")
    database: str = Field("", description="The URL of the history database. If empty, a SQLite file in `state`.")
    database_from: SourceModel | None = Field(
        None, description="The source of the history database's URL. Replaces `database`."
    )
    state: str = Field(".greenroom", description="The folder where this instance keeps its files.")
    local: LocalModel = Field(LocalModel(), description="Settings of the local engine.")
    resync: Duration = Field("10m", validate_default=True, description="The interval between two full reads of GitHub.")

    @field_validator("database")
    @classmethod
    def _a_history(cls, value: str) -> str:
        if redaction.looks_secret(value):
            raise ValueError(" ".join(redaction.no_place("databaseFrom")))
        if value and not is_history(value):
            raise ValueError(" ".join(NO_HISTORY))
        return value

    @field_validator("resync")
    @classmethod
    def _not_too_often(cls, value: timedelta) -> timedelta:
        if value < timedelta(seconds=1):
            raise ValueError("must be at least one second. Write `1s` or more. `10m` works well for GitHub.")
        return value


UNKNOWN = PlatformModel(installation="unknown", domain="example.com")  # in place of a file that cannot be read
KEYS = tuple(field.alias or name for name, field in PlatformModel.model_fields.items())


def to_core(model: PlatformModel, repositories: tuple[catalog.Repository, ...]) -> catalog.Platform:
    """Return the decisions as core values."""
    life, limits = model.lifetime, model.limits
    return catalog.Platform(
        installation=model.installation,
        domain=model.domain,
        repositories=repositories,
        label=model.label,
        prefix=model.name_prefix,
        scheme=model.scheme,
        port=model.local.proxy_port if model.engine == "local" else None,
        staging=tuple((s, catalog.Staging(m.url, m.public or m.url)) for s, m in sorted(model.staging.items())),
        lifetime=catalog.Lifetime(
            life.inactive_after, life.warn_before, life.max_age, life.keep_label, life.sleep_label
        ),
        limits=catalog.Limits(limits.total, limits.per_repository, limits.per_author),
        policy=catalog.Policy(model.drafts, frozenset(model.bots)),
        cluster=catalog.Cluster(model.argocd.chart_version, _chart_settings(model)),
        seeds=_seeds(model),
        inside="http://{host}" if model.engine == "local" else "http://{service}.{namespace}:{port}",
    )


def _seeds(model: PlatformModel) -> catalog.Seeds:
    """Return where seed images are. The local engine restores dumps itself."""
    if model.seeds is None or model.engine == "local":
        return catalog.Seeds()
    return catalog.Seeds(
        model.seeds.image,
        builds=model.seeds.build == "cluster",
        public_logins=model.seeds.logins == "always",
    )


def _seed_settings(model: PlatformModel) -> SeedSettings | None:
    """Return where seed images are built; None if CI builds them."""
    seeds = model.seeds
    if seeds is None or seeds.build == "ci" or model.engine == "local":
        return None
    return SeedSettings(seeds.namespace, seeds.secret)


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
    """Return the settings of this instance. Paths are relative to the configuration's folder."""
    state = folder / model.state
    github, registry = model.github, model.registry
    return Settings(
        engine=model.engine,
        state=state,
        database=model.database or f"sqlite+aiosqlite:///{(state / 'history.sqlite3').absolute()}",
        database_source=model.database_from.source("The history database URL") if model.database_from else None,
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
        seeds=_seed_settings(model),
        argocd=ArgoCDSettings(
            namespace=model.argocd.namespace,
            project=model.argocd.project,
            destination=model.argocd.destination,
            chart=model.argocd.chart,
            plugin=model.argocd.plugin,
            kubeconfig=model.argocd.kubeconfig,
            previews_kubeconfig=model.argocd.previews_kubeconfig,
            object_namespace=model.argocd.object_namespace or "",
            sweep=model.argocd.sweep,
            probe=model.ingress.probe,
            token=model.plugin_token_from.source("The token of Argo CD's plugin"),
        ),
    )

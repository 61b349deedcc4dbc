"""`services/*.yaml`: the shape of one service. The smallest has three keys: repository, image, port."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from greenroom.config.fields import (
    NAME,
    OBJECT,
    OPTIONAL,
    OPTIONAL_NAME,
    PATH,
    REPOSITORY,
    VARIABLE,
    Bytes,
    Command,
    Cpu,
    DurationOrNever,
    ImageName,
    Model,
    Schedule,
    Tag,
    url_alone,
)
from greenroom.config.needs import AnyNeed, ManifestModel, NeedModel, SharedNeedModel, need_value, shared_value
from greenroom.core import catalogue

MAX_USER = 2**31 - 1  # the greatest that Kubernetes takes


class ImageModel(Model):
    """Where CI pushes the image, and how it tags it."""

    repository: ImageName = Field(description="The image without a tag, registry host first.")
    tag: Tag = Field("{sha}", description="How CI tags it: {sha}, {short_sha} and {number} are filled in.")
    built_from: Literal["head", "merge"] = Field(
        "head", alias="from", description="`merge` when CI builds GitHub's merge ref refs/pull/N/merge."
    )


class ProcessModel(Model):
    """One process of the service."""

    kind: Literal["web", "worker", "cron"] = Field("web", description="web answers HTTP, cron runs on a schedule.")
    command: Command = Field((), description="Arguments, no shell; empty means the image's own.")
    port: int | None = Field(None, ge=1, le=65535, description="Where it listens; a worker has none.")
    schedule: Schedule = Field("", description="A cron's five fields, as in Kubernetes.")
    replicas: int = Field(1, ge=1, le=10, description="How many of it run.")
    migrates: bool = Field(False, description="Whether this process runs `migrate` before it starts.")
    probe: str = Field("/", pattern=PATH, description="The path that answers 2xx or 3xx when it is ready.")

    @model_validator(mode="after")
    def _fits_its_kind(self) -> ProcessModel:
        if self.kind == "cron" and not self.schedule:
            raise ValueError('a cron needs a schedule. Add `schedule: "0 * * * *"`.')
        if self.kind != "cron" and self.schedule:
            raise ValueError(f"a {self.kind} has no schedule. Remove it, or set `kind: cron`.")
        if self.kind != "web" and self.port:
            raise ValueError(f"a {self.kind} has no port, for nobody asks it. Remove `port:`, or set `kind: web`.")
        return self


class ResourcesModel(Model):
    """Kubernetes quantities for each process."""

    cpu: Cpu = Field("", description="Requested CPU, such as 100m.")
    memory: Bytes = Field("", description="Requested memory, such as 256Mi.")
    memory_limit: Bytes = Field("", description="The most memory, such as 512Mi.")


class AddressModel(Model):
    """Variables for the parts of another service's address."""

    url: str = Field("", pattern=OPTIONAL, description="Its URL for calls between servers.")
    public: str = Field("", pattern=OPTIONAL, description="Its URL for browsers.")
    host: str = Field("", pattern=OPTIONAL, description="The host of `url`.")
    port: str = Field("", pattern=OPTIONAL, description="The port of `url`.")

    @model_validator(mode="after")
    def _something(self) -> AddressModel:
        if not any(dict(self).values()):
            raise ValueError("names no variable. Write `as: PAYMENTS_URL`, or `as: {url: ..., public: ...}`.")
        return self


class OwnModel(Model):
    """Variables for this service's own address."""

    public: str = Field("", pattern=OPTIONAL, description="Its own public URL: for callbacks and links in mails.")
    origins: str = Field("", pattern=OPTIONAL, description="Origins that may call it from a browser (CORS), by comma.")


class UseModel(Model):
    """Another service that this one talks to."""

    service: str = Field(description="A service of the catalogue.")
    variables: Annotated[AddressModel, BeforeValidator(url_alone)] = Field(
        alias="as", description="The variable that is given its URL, or one for each part of the address."
    )
    prefer: Literal["same-branch"] | None = Field(
        None, description="`same-branch`: the preview whose branch has the same name, where there is one."
    )
    required: Literal["preview"] | None = Field(None, description="`preview`: never staging; it waits for one.")


def _image(value: Any) -> Any:
    return {"repository": value} if isinstance(value, str) else value


def _need(value: Any) -> Any:
    return [{"kind": v} if isinstance(v, str) else v for v in value] if isinstance(value, list) else value


class ServiceModel(Model):
    """One service of the catalogue."""

    name: str = Field("", pattern=OPTIONAL_NAME, description="Default: the file's name.")
    repository: str = Field(pattern=REPOSITORY, description="Its GitHub repository, owner/name.")
    image: Annotated[ImageModel, BeforeValidator(_image)] = Field(description="The image, as a string or a mapping.")
    port: int | None = Field(None, ge=1, le=65535, description="Short for one web process that listens there.")
    processes: dict[Annotated[str, Field(pattern=NAME, max_length=60)], ProcessModel] = Field(
        {}, description="Its processes by name."
    )
    public: bool = Field(True, description="Whether it has an address of its own.")
    paths: tuple[str, ...] = Field((), description="In a monorepo: paths whose change concerns this service.")
    migrate: Command = Field((), description="Brings the database up to date; runs before each start, idempotent.")
    migrate_timeout: DurationOrNever = Field(
        "5m",
        validate_default=True,
        description="How long it may take; `never` sets no limit, as an image without `sh` and `timeout` needs.",
    )
    needs: Annotated[tuple[AnyNeed, ...], BeforeValidator(_need)] = Field(
        (), description="Its own databases, queues and caches; a kind alone, or one of the three shapes below."
    )
    uses: tuple[UseModel, ...] = Field((), description="Services that it talks to.")
    env: dict[Annotated[str, Field(pattern=VARIABLE)], str] = Field({}, description="Plain settings; nothing secret.")
    env_from: tuple[Annotated[str, Field(pattern=OBJECT, max_length=253)], ...] = Field(
        (), description="Names of Secrets in the preview's namespace."
    )
    address: OwnModel = Field(OwnModel(), description="Variables for its own address.")
    resources: ResourcesModel = Field(ResourcesModel(), description="What each process asks for.")
    run_as_user: int | None = Field(
        None,
        ge=1,
        le=MAX_USER,
        description="The number of the user it runs as, for an image whose USER is a name or root; on a cluster.",
    )

    @model_validator(mode="after")
    def _processes_fit(self) -> ServiceModel:
        if self.port and self.processes:
            raise ValueError("has both `port:` and `processes:`. Remove `port:`, and give `processes.web` the port.")
        if not self.port and not self.processes:
            raise ValueError("has neither `port:` (one web process) nor `processes:`. Write one of the two.")
        migrating = [n for n, p in self.processes.items() if p.migrates]
        if len(migrating) > 1:
            raise ValueError(f"{' and '.join(migrating)} both migrate. Keep `migrates: true` on one of them.")
        if migrating and not self.migrate:
            raise ValueError(f"{migrating[0]} migrates, but there is no command. Add `migrate: [...]`.")
        if self.public and not self.port and not any(p.kind == "web" and p.port for p in self.processes.values()):
            raise ValueError("is public, but no web process has a port. Add `port:` to one, or set `public: false`.")
        return self


def to_core(
    model: ServiceModel, name: str, repository: str, manifests: Mapping[str, tuple[str, ...]]
) -> catalogue.Service:
    """The service as a core value.

    `repository` is the catalogue's short name of its repository, `manifests` the objects of each manifest's file.
    """
    given = {"web": ProcessModel(port=model.port)} if model.port else model.processes
    first_web = next((n for n, p in given.items() if p.kind == "web"), next(iter(given)))
    migrating = next((n for n, p in given.items() if p.migrates), first_web) if model.migrate else ""
    return catalogue.Service(
        name=name,
        repository=repository,
        image=catalogue.Image(model.image.repository, model.image.tag, catalogue.ImageFrom(model.image.built_from)),
        processes=tuple(_process(n, p, migrates=n == migrating) for n, p in given.items()),
        public=model.public,
        paths=model.paths,
        migrate=model.migrate,
        migrate_timeout=model.migrate_timeout,
        needs=tuple(need_value(n) for n in model.needs if isinstance(n, NeedModel)),
        shared_needs=tuple(shared_value(n) for n in model.needs if isinstance(n, SharedNeedModel)),
        manifests=tuple(
            catalogue.Manifest(n.name, manifests.get(n.manifest, ()))
            for n in model.needs
            if isinstance(n, ManifestModel)
        ),
        uses=tuple(_use_value(u) for u in model.uses),
        env=tuple(sorted([*model.env.items(), *_plain(model)])),
        env_from=model.env_from,
        address=_pairs(model.address),
        resources=catalogue.Resources(model.resources.cpu, model.resources.memory, model.resources.memory_limit),
        run_as_user=model.run_as_user,
    )


def _process(name: str, model: ProcessModel, *, migrates: bool) -> catalogue.Process:
    return catalogue.Process(
        name=name,
        kind=catalogue.ProcessKind(model.kind),
        command=model.command,
        port=model.port,
        schedule=model.schedule,
        replicas=model.replicas,
        migrates=migrates,
        probe=model.probe,
    )


def _use_value(model: UseModel) -> catalogue.Use:
    return catalogue.Use(
        service=model.service,
        variables=_pairs(model.variables),
        same_branch=model.prefer == "same-branch",
        required=model.required == "preview",
    )


def _pairs(model: AddressModel | OwnModel) -> tuple[tuple[str, str], ...]:
    """The parts that have a variable, with it."""
    return tuple((part, variable) for part, variable in model if variable)


def _plain(model: ServiceModel) -> list[tuple[str, str]]:
    return [pair for need in model.needs if isinstance(need, ManifestModel) for pair in need.env.items()]

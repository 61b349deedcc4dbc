"""Models of `services/*.yaml`, one service each. The smallest has three keys: repository, image, port."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

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
from greenroom.core.model import catalog

MAX_USER = 2**31 - 1  # the largest that Kubernetes accepts


class ImageModel(Model):
    """The image that CI pushes, and its tag."""

    repository: ImageName = Field(description="The image without a tag, starting with the registry host.")
    tag: Tag = Field(
        "{sha}",
        description="The tag that CI uses. {sha} and {short_sha} stand for the commit, {number} for the pull request.",
    )
    built_from: Literal["head", "merge"] = Field(
        "head",
        alias="from",
        description="The commit that CI builds: `head`, or `merge` for GitHub's merge ref refs/pull/N/merge.",
    )


class ProcessModel(Model):
    """One process of the service."""

    kind: Literal["web", "worker", "cron"] = Field(
        "web", description="`web` serves HTTP, `worker` runs in the background, and `cron` runs on a schedule."
    )
    command: Command = Field((), description="The command, run without a shell. If empty, the image's command.")
    port: int | None = Field(None, ge=1, le=65535, description="The port that a web process listens on.")
    schedule: Schedule = Field(
        "", description="The schedule of a cron process, as in Kubernetes: five fields, or a macro such as `@daily`."
    )
    replicas: int = Field(1, ge=1, le=10, description="The number of replicas.")
    migrates: bool = Field(False, description="Whether this process runs `migrate` before it starts.")
    probe: str = Field("/", pattern=PATH, description="The path that returns 2xx or 3xx when the process is ready.")

    @model_validator(mode="after")
    def _fits_its_kind(self) -> ProcessModel:
        if self.kind == "cron" and not self.schedule:
            raise ValueError('a cron needs a schedule. Add `schedule: "0 * * * *"`.')
        if self.kind != "cron" and self.schedule:
            raise ValueError(f"a {self.kind} cannot have a schedule. Remove it, or set `kind: cron`.")
        if self.kind != "web" and self.port:
            raise ValueError(
                f"a {self.kind} cannot have a port, because nothing calls it. Remove `port:`, or set `kind: web`."
            )
        return self


class ResourcesModel(Model):
    """Kubernetes quantities for each process."""

    cpu: Cpu = Field("", description="The requested CPU, such as 100m.")
    memory: Bytes = Field("", description="The requested memory, such as 256Mi.")
    memory_limit: Bytes = Field("", description="The memory limit, such as 512Mi.")


class AddressModel(Model):
    """Variables for the parts of another service's address."""

    url: str = Field(
        "", pattern=OPTIONAL, description="The name of the variable for the URL that servers use to call the service."
    )
    public: str = Field("", pattern=OPTIONAL, description="The name of the variable for the URL that browsers use.")
    host: str = Field("", pattern=OPTIONAL, description="The name of the variable for the host of `url`.")
    port: str = Field("", pattern=OPTIONAL, description="The name of the variable for the port of `url`.")

    @model_validator(mode="after")
    def _something(self) -> AddressModel:
        if not any(dict(self).values()):
            raise ValueError(
                "must name at least one variable. Write `as: PAYMENTS_URL`, or `as: {url: ..., public: ...}`."
            )
        return self


class OwnModel(Model):
    """The variables that receive this service's own address."""

    public: str = Field(
        "",
        pattern=OPTIONAL,
        description="The name of the variable for this service's public URL, for callbacks and links in emails.",
    )
    origins: str = Field(
        "",
        pattern=OPTIONAL,
        description="The name of the variable for the origins that may call this service from a browser (CORS),"
        " separated by commas.",
    )


class UseModel(Model):
    """Another service that this one calls."""

    service: str = Field(description="The name of a service in the catalog.")
    variables: Annotated[AddressModel, BeforeValidator(url_alone)] = Field(
        alias="as",
        description="The variable that receives the service's URL, or one variable for each part of its address.",
    )
    prefer: Literal["same-branch"] | None = Field(
        None, description="`same-branch` uses the preview whose branch has the same name, if there is one."
    )
    required: Literal["preview"] | None = Field(
        None, description="`preview` waits for a preview and never uses staging."
    )


def _path(value: str) -> str:
    """Validate a pattern of `paths`. GitHub lists changed files from the top of the repository, without a slash."""
    relative = posixpath.normpath(value.strip().replace("\\", "/").lstrip("/") or ".")
    if relative != value.rstrip("/") or relative.startswith(("./", "../")) or relative in (".", ".."):
        shown = "back" if relative.startswith(".") else relative
        raise ValueError(f"{value!r} matches no file. Write it relative to the repository's root: `{shown}`.")
    if value.startswith("!"):
        raise ValueError(f"{value!r} matches no file: patterns cannot be negated. List the paths to include instead.")
    return value


def _image(value: Any) -> Any:
    return {"repository": value} if isinstance(value, str) else value


def _need(value: Any) -> Any:
    return [{"kind": v} if isinstance(v, str) else v for v in value] if isinstance(value, list) else value


class ServiceModel(Model):
    """One service of the catalog."""

    name: str = Field("", pattern=OPTIONAL_NAME, description="The name of the service. Default: the name of the file.")
    repository: str = Field(pattern=REPOSITORY, description="The GitHub repository, as owner/name.")
    image: Annotated[ImageModel, BeforeValidator(_image)] = Field(description="The image, as a string or a mapping.")
    port: int | None = Field(
        None, ge=1, le=65535, description="Shorthand for a single web process that listens on this port."
    )
    processes: dict[Annotated[str, Field(pattern=NAME, max_length=60)], ProcessModel] = Field(
        {}, description="The processes by name."
    )
    public: bool = Field(True, description="Whether the service has a public address.")
    paths: tuple[Annotated[str, AfterValidator(_path)], ...] = Field(
        (),
        description="In a monorepo, the paths whose changes affect this service. Paths are relative to the repository's"
        " root. `back` and `back/**` both match all files in the folder `back`. `*` and `?` also match `/`.",
    )
    migrate: Command = Field(
        (), description="The command that migrates the database. It runs before each start, so it must be idempotent."
    )
    migrate_timeout: DurationOrNever = Field(
        "5m",
        validate_default=True,
        description="The time limit for `migrate`. Set `never` (no limit) for images that lack `sh` or `timeout`.",
    )
    needs: Annotated[tuple[AnyNeed, ...], BeforeValidator(_need)] = Field(
        (),
        description="The service's databases, queues and caches. Each entry is a kind, or a mapping with `kind:`, `of:`"
        " or `manifest:`.",
    )
    uses: tuple[UseModel, ...] = Field((), description="Other services that this one calls.")
    env: dict[Annotated[str, Field(pattern=VARIABLE)], str] = Field(
        {}, description="Plain-text settings. Do not put secrets here."
    )
    env_from: tuple[Annotated[str, Field(pattern=OBJECT, max_length=253)], ...] = Field(
        (), description="The names of Secrets in the preview's namespace. The keys of these Secrets become variables."
    )
    address: OwnModel = Field(OwnModel(), description="The variables that receive this service's own address.")
    prepare: bool | None = Field(
        None,
        description="Whether previews are prepared before this service's image exists. Default: as in greenroom.yaml.",
    )
    resources: ResourcesModel = Field(ResourcesModel(), description="The resources of each process.")
    run_as_user: int | None = Field(
        None,
        ge=1,
        le=MAX_USER,
        description="The user ID that the containers run as on a cluster, for an image whose USER is root or a name.",
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
            raise ValueError(f"{migrating[0]} migrates, but the service has no migrate command. Add `migrate: [...]`.")
        if self.public and not self.port and not any(p.kind == "web" and p.port for p in self.processes.values()):
            raise ValueError("is public, but no web process has a port. Add `port:` to one, or set `public: false`.")
        return self


def to_core(
    model: ServiceModel, name: str, repository: str, manifests: Mapping[str, tuple[str, ...]]
) -> catalog.Service:
    """Return the service as a core value.

    `repository` is the short name of its repository in the catalog. `manifests` holds the objects of each manifest
    file.
    """
    given = {"web": ProcessModel(port=model.port)} if model.port else model.processes
    first_web = next((n for n, p in given.items() if p.kind == "web"), next(iter(given)))
    migrating = next((n for n, p in given.items() if p.migrates), first_web) if model.migrate else ""
    return catalog.Service(
        name=name,
        repository=repository,
        image=catalog.Image(model.image.repository, model.image.tag, catalog.ImageFrom(model.image.built_from)),
        processes=tuple(_process(n, p, migrates=n == migrating) for n, p in given.items()),
        public=model.public,
        paths=model.paths,
        migrate=model.migrate,
        migrate_timeout=model.migrate_timeout,
        needs=tuple(need_value(n) for n in model.needs if isinstance(n, NeedModel)),
        shared_needs=tuple(shared_value(n) for n in model.needs if isinstance(n, SharedNeedModel)),
        manifests=tuple(
            catalog.Manifest(n.name, manifests.get(n.manifest, ())) for n in model.needs if isinstance(n, ManifestModel)
        ),
        uses=tuple(_use_value(u) for u in model.uses),
        env=tuple(sorted([*model.env.items(), *_plain(model)])),
        env_from=model.env_from,
        address=_pairs(model.address),
        resources=catalog.Resources(model.resources.cpu, model.resources.memory, model.resources.memory_limit),
        run_as_user=model.run_as_user,
    )


def _process(name: str, model: ProcessModel, *, migrates: bool) -> catalog.Process:
    return catalog.Process(
        name=name,
        kind=catalog.ProcessKind(model.kind),
        command=model.command,
        port=model.port,
        schedule=model.schedule,
        replicas=model.replicas,
        migrates=migrates,
        probe=model.probe,
    )


def _use_value(model: UseModel) -> catalog.Use:
    return catalog.Use(
        service=model.service,
        variables=_pairs(model.variables),
        same_branch=model.prefer == "same-branch",
        required=model.required == "preview",
    )


def _pairs(model: AddressModel | OwnModel) -> tuple[tuple[str, str], ...]:
    """Return each part that has a variable, with the variable."""
    return tuple((part, variable) for part, variable in model if variable)


def _plain(model: ServiceModel) -> list[tuple[str, str]]:
    return [pair for need in model.needs if isinstance(need, ManifestModel) for pair in need.env.items()]

"""What a preview can have of its own: the kinds of needs, and the three shapes of an entry of `needs:`."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Discriminator, Field, Tag, field_validator, model_validator

from greenroom.config.fields import MANIFEST, OPTIONAL_NAME, VARIABLE, Bytes, Model, url_alone
from greenroom.core import catalogue


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of need: what people call it, and which tags of its stock image are offered.

    `variable` receives its URL where a service names none (Heroku's names), `aliases` are what people write for it, and
    `local` says whether the local engine offers it. How it runs in a cluster is in charts/preview/kinds.yaml.
    """

    title: str
    versions: tuple[str, ...]
    default: str
    variable: str
    aliases: tuple[str, ...] = ()
    local: bool = False


KINDS = {
    "postgresql": Kind(
        "PostgreSQL", ("14", "15", "16", "17", "18"), "16", "DATABASE_URL", ("postgres", "pg"), local=True
    ),
    "mysql": Kind("MySQL", ("8.0", "8.4"), "8.4", "DATABASE_URL"),
    "mariadb": Kind("MariaDB", ("10.11", "11.4", "11.8"), "11.4", "DATABASE_URL", ("maria",)),
    "redis": Kind("Redis", ("7", "8"), "8", "REDIS_URL", ("cache",), local=True),
    "valkey": Kind("Valkey", ("8", "9"), "8", "REDIS_URL", local=True),
    "rabbitmq": Kind("RabbitMQ", ("3.13", "4"), "4", "CLOUDAMQP_URL", ("rabbit", "amqp", "cloudamqp", "queue")),
}
LOCAL = tuple(name for name, kind in KINDS.items() if kind.local)  # what the local engine offers


def nearest(kind: str) -> str:
    """The kind that somebody probably meant, or nothing."""
    known = {alias: name for name, found in KINDS.items() for alias in (name, *found.aliases)}
    near = difflib.get_close_matches(kind.lower(), known, 1)
    return known[near[0]] if near else ""


def _variable(what: str) -> Any:
    return Field("", pattern=VARIABLE, description=what)


class PartsModel(Model):
    """The variables that receive parts of a need's address; at least one. One string is short for `{url: ...}`."""

    url: str = _variable("Receives the whole as a URL, its password percent-encoded.")
    host: str = _variable("Receives the host.")
    port: str = _variable("Receives the port.")
    user: str = _variable("Receives the user.")
    password: str = _variable("Receives the password as it is.")
    database: str = _variable("Receives the database, virtual host or number of the database.")

    @model_validator(mode="after")
    def _one_at_least(self) -> PartsModel:
        if not self.pairs:
            raise ValueError("names no variable. Write `as: DATABASE_URL`, or `as: {host: PGHOST, port: PGPORT}`.")
        return self

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Part and variable, of each part that is asked for."""
        return tuple((part, variable) for part, variable in self.model_dump().items() if variable)


Parts = Annotated[PartsModel, BeforeValidator(url_alone)]


class NeedModel(Model):
    """Something that belongs to the preview itself."""

    kind: str = Field(description="What it is; see docs/needs.md.", json_schema_extra={"enum": [*KINDS]})
    version: str = Field("", description="The version, quoted; the kind's default one when empty. See docs/needs.md.")
    name: str = Field("", pattern=OPTIONAL_NAME, max_length=40, description="Its name; the kind when empty.")
    variables: Parts | None = Field(
        None,
        alias="as",
        description="The variable with its URL, or variables with parts. Default: the kind's own name.",
    )
    storage: Literal["ephemeral", "persistent"] = Field("ephemeral", description="Whether data outlives its container.")
    memory: Bytes = Field("", description="The most memory; the kind's own limit when empty.")
    size: Bytes = Field("", description="How large its volume is, with persistent storage.")
    seed: str = Field(
        "", description="The path of a plain SQL dump in the service's repository; `engine: local` reads it."
    )
    image: str = Field("", description="An image in place of the stock one, with its data in it; host first, a digest.")

    @field_validator("seed", mode="before")
    @classmethod
    def _a_path(cls, value: Any) -> Any:
        if not isinstance(value, str):
            raise ValueError(
                "more than a path is reserved for a later release. Write the path of a dump, such as `seed/shop.sql`."
            )
        if value.startswith("/") or ".." in value.split("/"):
            raise ValueError(f"{value!r} leaves the repository. Write a path inside it, such as `seed/shop.sql`.")
        return value

    @model_validator(mode="after")
    def _fits_its_storage(self) -> NeedModel:
        if self.size and self.storage != "persistent":
            raise ValueError("has a `size`, but no volume. Add `storage: persistent`, or remove `size`.")
        if self.image and self.storage == "persistent":
            raise ValueError(
                "`image` brings its own data, which no volume holds. Remove `storage: persistent` or `image`."
            )
        return self

    @property
    def called(self) -> str:
        """Its name in the service."""
        return self.name or self.kind

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Part and variable; none of an unknown kind."""
        kind = KINDS.get(self.kind)
        return self.variables.pairs if self.variables else (("url", kind.variable),) if kind else ()


class SharedNeedModel(Model):
    """A need of another service of the same repository, in place of one of its own."""

    service: str = Field(alias="of", description="The service that has it.")
    name: str = Field(description="The need's name there.")
    variables: Parts = Field(alias="as", description="The variable with its URL, or variables with parts.")

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Part and variable."""
        return self.variables.pairs


class ManifestModel(Model):
    """Objects of the platform team's own, for what there is no kind for."""

    manifest: str = Field(
        pattern=MANIFEST,
        description="A file of this folder with Kubernetes objects: needs/NAME.yaml.",
    )
    env: dict[Annotated[str, Field(pattern=VARIABLE)], str] = Field(
        {}, description="Plain settings of this service, such as its address; nothing secret."
    )

    @property
    def name(self) -> str:
        """The manifest's name: that of its file."""
        return self.manifest.removeprefix("needs/").removesuffix(".yaml")


def _shape(value: Any) -> str:
    if isinstance(value, BaseModel):
        return type(value).__name__
    keys = value if isinstance(value, dict) else {}
    return "SharedNeedModel" if "of" in keys else "ManifestModel" if "manifest" in keys else "NeedModel"


SHAPES = ("NeedModel", "SharedNeedModel", "ManifestModel")
AnyNeed = Annotated[
    Annotated[NeedModel, Tag("NeedModel")]
    | Annotated[SharedNeedModel, Tag("SharedNeedModel")]
    | Annotated[ManifestModel, Tag("ManifestModel")],
    Discriminator(_shape),
]


def need_value(model: NeedModel) -> catalogue.Need:
    """A need as a core value."""
    return catalogue.Need(
        name=model.called,
        kind=model.kind,
        version=model.version or KINDS[model.kind].default,
        variables=model.pairs,
        storage=catalogue.Storage(model.storage),
        seed=model.seed,
        image=model.image,
        memory=model.memory,
        size=model.size,
    )


def shared_value(model: SharedNeedModel) -> catalogue.SharedNeed:
    """A need of another service as a core value."""
    return catalogue.SharedNeed(model.service, model.name, model.pairs)

"""Needs that belong to a preview: their kinds, and the three shapes of an entry of `needs:`."""

from __future__ import annotations

import difflib
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, Discriminator, Field, Tag, model_validator

from greenroom.config.fields import (
    EXTENSION,
    MANIFEST,
    OPTIONAL_NAME,
    OPTIONAL_REPOSITORY,
    VARIABLE,
    Bytes,
    Model,
    url_alone,
)
from greenroom.core.model import catalog
from greenroom.core.model.kinds import KINDS


def nearest(kind: str) -> str:
    """Return the known kind that is nearest to a name; empty if none is near."""
    known = {alias: name for name, found in KINDS.items() for alias in (name, *found.aliases)}
    near = difflib.get_close_matches(kind.lower(), known, 1)
    return known[near[0]] if near else ""


def _variable(what: str) -> Any:
    return Field("", pattern=VARIABLE, description=what)


class PartsModel(Model):
    """Variables that receive parts of a need's address. Set at least one. A string is shorthand for `{url: ...}`."""

    url: str = _variable("The name of the variable for the whole address as a URL, with the password percent-encoded.")
    host: str = _variable("The name of the variable for the host.")
    port: str = _variable("The name of the variable for the port.")
    user: str = _variable("The name of the variable for the user.")
    password: str = _variable("The name of the variable for the password, without any encoding.")
    database: str = _variable("The name of the variable for the name or number of the database, or the virtual host.")

    @model_validator(mode="after")
    def _one_at_least(self) -> PartsModel:
        if not self.pairs:
            raise ValueError(
                "must name at least one variable. Write `as: DATABASE_URL`, or `as: {host: PGHOST, port: PGPORT}`."
            )
        return self

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Return each part that is asked for, with its variable."""
        return tuple((part, variable) for part, variable in self.model_dump().items() if variable)


Parts = Annotated[PartsModel, BeforeValidator(url_alone)]


def _path_alone(value: Any) -> Any:
    """Return `{path: ...}` for a string, which is short for it."""
    return {"path": value} if isinstance(value, str) else value


def _inside(value: str) -> str:
    if value.startswith("/") or ".." in value.split("/"):
        raise ValueError(f"{value!r} is outside the repository. Write a path inside it, such as `seed/shop.sql`.")
    return value


Path = Annotated[str, AfterValidator(_inside)]


class LoginModel(Model):
    """An account in the seed that testers can log in with."""

    user: str = Field(min_length=1, max_length=100, description="The login, such as `ada@example.com`.")
    note: str = Field("", max_length=100, description="Who uses the account, such as `shop manager`.")
    password: str = Field(
        "",
        max_length=200,
        description="Where the password is, such as `1Password, item Previews`. Do not write the password itself.",
    )


class SeedModel(Model):
    """A dump in git, from which the need starts. A string is shorthand for `{path: ...}`."""

    path: Path = Field(
        min_length=1,
        description="The path of the dump: plain SQL, optionally compressed with gzip or zstd, or an archive from"
        " `pg_dump --format=custom`.",
    )
    repository: str = Field(
        "",
        pattern=OPTIONAL_REPOSITORY,
        description="The repository that contains the dump, as owner/name. If empty, the service's own.",
    )
    branch: str = Field(
        "",
        max_length=200,
        description="The branch to read in `repository`. If empty, the default branch. See docs/seeds.md.",
    )
    mode: Literal["", "layer", "copy", "restore"] = Field(
        "",
        description="How the database gets the data: `layer` uses the data in a layer of the image, `copy` copies the"
        " data to a volume, and `restore` restores the dump at the first start. If empty, `copy` for"
        " `storage: persistent`, and `layer` otherwise.",
    )
    extensions: tuple[Annotated[str, Field(pattern=EXTENSION)], ...] = Field(
        (), description="PostgreSQL extensions to create before the dump is restored."
    )
    rows: dict[str, Annotated[int, Field(ge=0)]] = Field(
        {}, description="The minimum number of rows in each listed table. If a table has fewer rows, the build fails."
    )
    migrations: Annotated[str, AfterValidator(_inside)] = Field(
        "", description="The folder that contains the service's migrations. If empty, Greenroom detects the folder."
    )
    follow: bool = Field(
        False,
        description="Whether existing previews are reset to a newer seed automatically, which deletes their current"
        " data.",
    )
    logins: tuple[LoginModel, ...] = Field(
        (),
        max_length=10,
        description="Accounts that testers can use. `seeds.logins` in greenroom.yaml decides which comments list them."
        " See docs/seeds.md.",
    )

    @model_validator(mode="after")
    def _has_its_repository(self) -> SeedModel:
        if self.branch and not self.repository:
            raise ValueError(
                "`branch` needs `repository`. Without it, the dump is read from the service's own repository, at the"
                " preview's commit. Remove `branch`, or add `repository: owner/name`."
            )
        return self


class NeedModel(Model):
    """A database, queue or cache that belongs to the preview."""

    kind: str = Field(description="The kind of need. See docs/needs.md.", json_schema_extra={"enum": [*KINDS]})
    version: str = Field(
        "", description="The version, in quotes. If empty, the kind's default version. See docs/needs.md."
    )
    name: str = Field(
        "", pattern=OPTIONAL_NAME, max_length=40, description="The name of the need. If empty, the name of the kind."
    )
    variables: Parts | None = Field(
        None,
        alias="as",
        description="The environment variable that receives the need's URL, or one variable for each part of its"
        " address. Default: the kind's usual variable.",
    )
    storage: Literal["ephemeral", "persistent"] = Field(
        "ephemeral", description="Whether data survives a restart of the container."
    )
    memory: Bytes = Field("", description="The memory limit. If empty, the kind's default.")
    size: Bytes = Field("", description="The size of the volume. Requires `storage: persistent`.")
    seed: Annotated[SeedModel, BeforeValidator(_path_alone)] | None = Field(
        None,
        description="The dump to start from: a path in the service's repository, or a mapping. See docs/seeds.md.",
    )
    image: str = Field(
        "",
        description="An image that contains data and replaces the stock image. Include the registry host and a digest.",
    )

    @model_validator(mode="after")
    def _fits_its_storage(self) -> NeedModel:
        if self.size and self.storage != "persistent":
            raise ValueError("`size` needs a volume. Add `storage: persistent`, or remove `size`.")
        if self.seed and self.seed.mode == "layer" and self.storage == "persistent":
            raise ValueError(
                "`mode: layer` keeps no data on a volume. Use `mode: copy`, or remove `storage: persistent`."
            )
        if self.image and self.storage == "persistent":
            raise ValueError(
                "`image` contains its own data, which is not stored on a volume. Remove `storage: persistent` or"
                " `image`."
            )
        return self

    @property
    def called(self) -> str:
        """Return the need's name in the service."""
        return self.name or self.kind

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Return each part with its variable. Without `as`, a known kind has a default and an unknown kind has none."""
        kind = KINDS.get(self.kind)
        return self.variables.pairs if self.variables else (("url", kind.variable),) if kind else ()


class SharedNeedModel(Model):
    """A need that another service of the same repository shares with this one."""

    service: str = Field(alias="of", description="The service that has the need.")
    name: str = Field(description="The name of the need in that service.")
    variables: Parts = Field(
        alias="as",
        description="The variable that receives the need's URL, or one variable for each part of its address.",
    )

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Return each part with its variable."""
        return self.variables.pairs


class ManifestModel(Model):
    """The platform team's own Kubernetes objects, for needs without a built-in kind."""

    manifest: str = Field(
        pattern=MANIFEST,
        description="The file with the Kubernetes objects: needs/NAME.yaml in the configuration's folder.",
    )
    env: dict[Annotated[str, Field(pattern=VARIABLE)], str] = Field(
        {},
        description="Plain-text settings for this service, such as the address of the need. Do not put secrets here.",
    )

    @property
    def name(self) -> str:
        """Return the manifest's name, which is the name of its file."""
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


def _options(model: NeedModel) -> catalog.SeedOptions:
    """Return the seed's options as a core value."""
    seed = model.seed
    if seed is None:
        return catalog.SeedOptions()
    usual = "copy" if model.storage == "persistent" else "layer"
    return catalog.SeedOptions(
        seed.repository,
        seed.branch,
        catalog.SeedMode(seed.mode or usual),
        seed.extensions,
        tuple(sorted(seed.rows.items())),
        seed.migrations,
        seed.follow,
        tuple(catalog.Login(each.user, each.note, each.password) for each in seed.logins),
    )


def need_value(model: NeedModel) -> catalog.Need:
    """Return a need as a core value."""
    return catalog.Need(
        name=model.called,
        kind=model.kind,
        version=model.version or KINDS[model.kind].default,
        variables=model.pairs,
        storage=catalog.Storage(model.storage),
        seed=model.seed.path if model.seed else "",
        seed_options=_options(model),
        image=model.image,
        memory=model.memory,
        size=model.size,
    )


def shared_value(model: SharedNeedModel) -> catalog.SharedNeed:
    """Return a need of another service as a core value."""
    return catalog.SharedNeed(model.service, model.name, model.pairs)

"""What an ApplicationSet says and carries: specs that come back as they went in, and a template Argo CD can fill."""

from __future__ import annotations

import base64
import json
import re
import zlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import NOW, PLATFORM, REPOSITORY_ID, SERVICE, spec
from greenroom.argocd import applicationset, packing
from greenroom.argocd.applicationset import InstallationSpec
from greenroom.argocd.packing import Unreadable
from greenroom.core.model.catalog import Manifest, Need, Process, ProcessKind, SharedNeed, Storage, Use
from greenroom.core.model.engine import Cause, Ledger, PreviewSet, Recovery, Release, Restart, Withdrawal
from greenroom.core.model.holds import HoldKey, HoldKind
from greenroom.core.model.spec import Caller, Identity, Injected, Link, LinkCause, LinkOverride, LinkReason, PreviewSpec
from greenroom.core.planning.chart_values import parameters
from greenroom.errors import Doubt

FRAME = InstallationSpec(
    "test", "preview", "argocd", "greenroom-previews", "in-cluster", "oci://r.test/charts/preview", "plugin"
)
GOLDEN = Path(__file__).parent / "application_set.json"
FIRST = Path(__file__).parent / "preview_set.txt"

RELEASE_LIMIT = 53  # https://helm.sh/docs/chart_template_guide/builtin_objects/ and `helm template` itself

MAILPIT = replace(SERVICE, env=(("A", "1"),), manifests=(Manifest("mailpit", ('{"kind":"Service"}',)),))
LINKED = Link("shop", "payments", (("url", "PAYMENTS_URL"),), "http://payments.staging", "")
STORED = PreviewSet(
    REPOSITORY_ID,
    "shop",
    5,
    {
        1: spec(1, services=(MAILPIT,), settings='{"a":1}', targets=(LINKED,), holders={"db": "a"}, reset_at=NOW),
        2: spec(2, services=(MAILPIT,), settings='{"a":1}', callers=(Caller("shop", "preview-till-1", 80),)),
    },
    Ledger(
        (Withdrawal(Identity(REPOSITORY_ID, 9), Cause.CLOSED, NOW, "grace", "preview"),),
        releases=(
            Release(Identity(REPOSITORY_ID, 2), HoldKey(HoldKind.LABEL_TAKEN, "preview", NOW), "grace", NOW),
            Release(Identity(REPOSITORY_ID, 2), HoldKey(HoldKind.REDEPLOY, "0123456789ab"), "ada", NOW),
        ),
    ),
)

words = st.text(max_size=8)
names = st.text("abcdefghij-", min_size=1, max_size=8)
moments = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))
numbers = st.integers(0, 2**40)
pairs = st.lists(st.tuples(names, names), max_size=2).map(tuple)
identities = st.builds(Identity, st.integers(1, 2**40), st.integers(1, 10**6))
services = st.builds(
    lambda name, needs, shared, manifests, uses, env, timeout, cron: replace(
        SERVICE,
        name=name,
        needs=needs,
        shared_needs=shared,
        manifests=manifests,
        uses=uses,
        env=env,
        migrate_timeout=timeout,
        processes=(*SERVICE.processes, *cron),
    ),
    names,
    st.lists(st.builds(Need, names, names, words, pairs, st.sampled_from(Storage)), max_size=2).map(tuple),
    st.lists(st.builds(SharedNeed, names, names, pairs), max_size=2).map(tuple),
    st.lists(st.builds(Manifest, names, st.lists(words, max_size=2).map(tuple)), max_size=2).map(tuple),
    st.lists(st.builds(Use, names, pairs, st.booleans(), st.booleans()), max_size=2).map(tuple),
    st.lists(st.tuples(names, words), max_size=2).map(tuple),
    st.timedeltas(timedelta(0), timedelta(days=1)),
    st.lists(st.builds(Process, names, st.just(ProcessKind.CRON), schedule=words), max_size=1),
)
reasons = st.builds(
    LinkReason, st.sampled_from(LinkCause), names, st.lists(words, max_size=2).map(tuple), st.booleans()
)
specs = st.builds(
    lambda number, **changes: spec(number, **changes),
    st.integers(1, 9999),
    author=words,
    services=st.lists(services, max_size=2).map(tuple),
    targets=st.lists(
        st.builds(Link, names, names, pairs, words, words, reasons, numbers, names, numbers), max_size=2
    ).map(tuple),
    generation=st.integers(1, 9),
    retry=st.integers(0, 9),
    injected=st.lists(st.builds(Injected, names, names, words), max_size=2).map(tuple),
    branch=words,
    sleep_requested=st.booleans(),
    mentions=st.lists(words, max_size=2).map(tuple),
    overrides=st.lists(st.builds(LinkOverride, names, words, names, numbers, st.booleans()), max_size=2).map(tuple),
    callers=st.lists(st.builds(Caller, names, names, numbers), max_size=2).map(tuple),
    holders=st.dictionaries(names, names, max_size=2),
    reset_at=st.none() | moments,
    head_since=moments,
    asleep=st.booleans(),
)
holds = st.builds(HoldKey, st.sampled_from(HoldKind), words, st.none() | moments)
ledgers = st.builds(
    Ledger,
    st.lists(st.builds(Withdrawal, identities, st.sampled_from(Cause), moments, words, words, st.booleans()), max_size=2).map(tuple),
    st.lists(st.builds(Restart, identities, moments), max_size=2).map(tuple),
    st.lists(st.builds(Release, identities, holds, words, moments), max_size=2).map(tuple),
)  # fmt: skip
preview_sets = st.builds(
    PreviewSet, st.integers(1, 2**40), names, st.integers(0, 2**40), st.dictionaries(st.integers(1, 99), specs, max_size=3), ledgers
)  # fmt: skip


@given(specs)
def test_a_spec_comes_back_as_it_went_in(found: PreviewSpec) -> None:
    text = packing.packed(found)
    assert text.isascii()
    assert packing.unpacked(PreviewSpec, text, "it") == found


def test_the_first_format_is_read() -> None:
    """What is stored on clusters today stays readable: this text was packed when the format was first written."""
    annotations = {applicationset.ROWS: FIRST.read_text().strip()}
    assert applicationset.first_format({"metadata": {"name": "preview-shop", "annotations": annotations}}) == STORED


def test_a_share_that_is_missing_is_doubt() -> None:
    whole = json.loads(zlib.decompress(base64.b64decode(FIRST.read_text())))
    others: tuple[object, ...] = ({}, [], None)
    for shared in others:
        broken = base64.b64encode(zlib.compress(json.dumps({**whole, "shared": shared}).encode())).decode()
        with pytest.raises(Unreadable, match="a value that specs share is missing"):
            packing.unpacked(PreviewSet, broken, "it")


def test_the_same_spec_is_the_same_text_and_another_spec_another_one() -> None:
    assert packing.packed(spec(1)) == packing.packed(spec(1))
    assert packing.packed(spec(1)) != packing.packed(spec(2))


GOOD = packing.packed(spec(1))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "broken",
        GOOD[:-8],
        GOOD[8:],
        "Ünïcode",
        packing.packed({}),
        packing.packed([]),
        packing.packed(None),
        packing.packed("text"),
        packing.packed({"number": "1"}),
        packing.packed(PreviewSet(7, "shop")),
        packing.packed({f: [] for f in PreviewSpec.__dataclass_fields__}),
    ],
)
def test_what_we_did_not_write_is_doubt_that_names_where_it_stands(text: str) -> None:
    application = {"metadata": {"name": "preview-shop-1", "annotations": {applicationset.ROW: text}}}
    with pytest.raises(Doubt, match=r"greenroom.dev/row of the Application preview-shop-1 cannot be read"):
        applicationset.spec_of(application)


@given(st.binary(max_size=40) | st.text(max_size=40).map(str.encode))
def test_no_annotation_is_an_accident(junk: bytes) -> None:
    with pytest.raises(Doubt):
        packing.unpacked(PreviewSpec, junk.decode("latin-1"), "it")


def test_an_annotation_that_is_gone_is_doubt_too() -> None:
    without: tuple[dict[str, str] | None, ...] = ({}, None)
    for each in without:
        with pytest.raises(Doubt):
            applicationset.first_format({"metadata": {"name": "preview-shop", "annotations": each}})


@pytest.mark.parametrize(
    "labels",
    [
        None,
        {},
        {applicationset.NUMBER: "1"},
        {applicationset.NUMBER: "x", applicationset.REPOSITORY_ID: "7"},
        {applicationset.NUMBER: "", applicationset.REPOSITORY_ID: ""},
    ],
)
def test_labels_that_name_no_preview_name_none(labels: dict[str, str] | None) -> None:
    assert applicationset.identity_of({"metadata": {"labels": labels}}) is None
    assert applicationset.identity_of(
        {"metadata": {"labels": {applicationset.REPOSITORY_ID: "7", applicationset.NUMBER: "3"}}}
    ) == Identity(7, 3)


@pytest.mark.parametrize(
    ("chart", "found"),
    [
        ("oci://r.test/charts/preview", {"repoURL": "r.test/charts", "chart": "preview"}),
        ("oci://r.test:5000/preview", {"repoURL": "r.test:5000", "chart": "preview"}),
        ("https://g.test/a/b.git//charts/preview", {"repoURL": "https://g.test/a/b.git", "path": "charts/preview"}),
        ("ssh://git@g.test:22/a//p", {"repoURL": "ssh://git@g.test:22/a", "path": "p"}),
    ],
)
def test_where_argo_cd_finds_the_chart(chart: str, found: dict[str, str]) -> None:
    assert applicationset.source(chart) == found
    assert (
        applicationset.application_spec(replace(FRAME, chart=chart))["source"] | found
        == applicationset.application_spec(replace(FRAME, chart=chart))["source"]
    )


def test_an_application_set_is_as_it_is_written_down() -> None:
    found = PreviewSet(REPOSITORY_ID, "shop", 4, {1: spec(1)}, recovery=Recovery(NOW))
    made = applicationset.application_set(FRAME, found, {1: 4, 12: 3})
    assert made == json.loads(GOLDEN.read_text())


@pytest.mark.parametrize(
    "made", [applicationset.application_set(FRAME, PreviewSet(7, "s" * 60, 4), {}), applicationset.canary_set(FRAME, 4)]
)
def test_helm_takes_the_release_name_of_every_preview_however_long_its_name_is(made: dict[str, Any]) -> None:
    release = made["spec"]["template"]["spec"]["source"]["helm"]["releaseName"]
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", release), "no part of it depends on a row"
    assert len(release) <= RELEASE_LIMIT


@pytest.mark.parametrize(
    "made", [applicationset.application_set(FRAME, PreviewSet(7, "shop", 4), {}), applicationset.canary_set(FRAME, 4)]
)
def test_no_set_can_delete_leave_its_project_or_be_patched(made: dict[str, Any]) -> None:
    spec = made["spec"]
    assert spec["syncPolicy"] == {"applicationsSync": "create-update"}
    assert spec["goTemplateOptions"] == ["missingkey=error"]
    assert "templatePatch" not in spec
    assert [list(g) for g in spec["generators"]] == [["plugin"]]
    assert spec["template"]["spec"]["project"] == "greenroom-previews"
    assert made["metadata"]["annotations"][applicationset.REFRESH] == "4"
    assert applicationset.canary_set(FRAME, 4)["spec"]["template"]["spec"]["syncPolicy"] == {}, (
        "the canary is never synced"
    )


def wanted(template: object) -> set[str]:
    return set(re.findall(r"\{\{[^}]*?\.(\w+)[^}]*\}\}", json.dumps(template)))


def test_every_field_that_a_template_wants_is_in_every_spec() -> None:
    """`missingkey=error`: one field that is missing would freeze a whole set."""
    given = parameters(spec(1), PLATFORM) | {"row": packing.packed(spec(1))}
    assert wanted(applicationset.application_set(FRAME, PreviewSet(7, "shop"), {})["spec"]["template"]) <= given.keys()
    canary = applicationset.canary_spec(FRAME, "")
    assert wanted(applicationset.canary_set(FRAME, 1)["spec"]["template"]) <= canary.keys()
    assert canary["chartVersion"], "an empty revision would be whatever is newest"


def test_no_repository_can_be_called_like_the_canary() -> None:
    assert FRAME.canary == "preview--canary"
    assert FRAME.name("canary") != FRAME.canary
    assert applicationset.repository_of({"metadata": {"labels": {applicationset.REPOSITORY: "shop"}}}) == "shop"
    assert applicationset.repository_of({}) == ""

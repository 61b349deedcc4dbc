"""What an ApplicationSet says and carries: rows that come back as they went in, and a template Argo CD can fill."""

from __future__ import annotations

import base64
import json
import random
import re
import zlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import PLATFORM, REPOSITORY_ID, SERVICE, row
from greenroom.argocd import sets
from greenroom.argocd.sets import Frame, Unreadable
from greenroom.core.catalogue import Manifest, Need, Process, ProcessKind, Service, SharedNeed, Storage, Use
from greenroom.core.model import Cause, Identity, Ledger, Release, Restart, RowSet, Withdrawal
from greenroom.core.rows import Choice, Link, Row, parameters
from greenroom.errors import Doubt, Full

FRAME = Frame("test", "preview", "argocd", "greenroom-previews", "in-cluster", "oci://r.test/charts/preview", "plugin")
GOLDEN = Path(__file__).parent / "application_set.json"
FIRST = Path(__file__).parent / "rows_0.1.txt"

RELEASE_LIMIT = 53  # https://helm.sh/docs/chart_template_guide/builtin_objects/ and `helm template` itself

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
rows = st.builds(
    lambda number, **changes: row(number, **changes),
    st.integers(1, 9999),
    author=words,
    services=st.lists(services, max_size=2).map(tuple),
    links=st.lists(st.builds(Link, names, names, pairs, words, words, words, numbers, names, numbers), max_size=2).map(
        tuple
    ),
    incarnation=st.integers(1, 9),
    nonce=st.integers(0, 9),
    given=st.lists(st.tuples(names, names, words), max_size=2).map(tuple),
    branch=words,
    sleepy=st.booleans(),
    mentions=st.lists(words, max_size=2).map(tuple),
    choices=st.lists(st.builds(Choice, names, words, names, numbers, st.booleans()), max_size=2).map(tuple),
    open_to=st.lists(st.tuples(names, names, numbers), max_size=2).map(tuple),
    lives=st.lists(st.tuples(names, names), max_size=2).map(tuple),
    renewed=st.none() | moments,
    head_since=moments,
    asleep=st.booleans(),
)
ledgers = st.builds(
    Ledger,
    st.lists(st.builds(Withdrawal, identities, st.sampled_from(Cause), moments, words, words, st.booleans()), max_size=2).map(tuple),
    st.lists(st.builds(Restart, identities, moments), max_size=2).map(tuple),
    st.lists(st.builds(Release, identities, words, words, moments), max_size=2).map(tuple),
)  # fmt: skip
row_sets = st.builds(
    RowSet, st.integers(1, 2**40), names, st.integers(0, 2**40), st.dictionaries(st.integers(1, 99), rows, max_size=3), ledgers
)  # fmt: skip


@given(rows)
def test_a_row_comes_back_as_it_went_in(found: Row) -> None:
    text = sets.packed(found)
    assert text.isascii()
    assert sets.unpacked(Row, text, "it") == found


@given(row_sets)
def test_rows_ledger_and_generation_come_back_as_they_went_in(found: RowSet) -> None:
    assert sets.rows_of(sets.application_set(FRAME, found)) == found


def test_what_the_first_version_wrote_is_read() -> None:
    """Each row carried its services itself."""
    annotations = {sets.ROWS: FIRST.read_text().strip()}
    found = sets.rows_of({"metadata": {"name": "preview-shop", "annotations": annotations}})
    assert (found.generation, [w.identity.number for w in found.ledger.withdrawals]) == (5, [9])
    for number in (1, 2):
        made = found.rows[number]
        assert (made.naming.name, made.settings) == (f"preview-shop-{number}", '{"a":1}')
        [service] = made.services
        assert (service.name, service.env, service.manifests[0].name) == ("shop", (("A", "1"),), "mailpit")


@given(row_sets)
def test_what_an_older_version_packed_comes_back_the_same(found: RowSet) -> None:
    assert (
        sets.unpacked(RowSet, sets.packed(found), "it") == sets.unpacked(RowSet, sets.packed_set(found), "it") == found
    )


def dashboard(size: int) -> Service:
    """A service with a manifest in which nothing repeats nearby, as in a dashboard."""
    words = random.Random(1)
    text = " ".join(f"{words.getrandbits(32):x}" for _ in range(size // 9))
    return replace(SERVICE, manifests=(Manifest("dashboard", (json.dumps({"kind": "ConfigMap", "data": text}),)),))


def test_a_large_manifest_is_kept_once_for_all_previews_that_have_it() -> None:
    sizes = []
    for count in (1, 100):
        crowd = RowSet(
            REPOSITORY_ID, "shop", 1, {n: row(n, services=(dashboard(45_000),)) for n in range(1, count + 1)}
        )
        made = sets.application_set(FRAME, crowd)
        assert sets.rows_of(made) == crowd
        sizes.append(len(made["metadata"]["annotations"][sets.ROWS]))
    assert sizes[1] < 2 * sizes[0] < sets.MAX_ANNOTATION / 2


def test_a_share_that_is_missing_is_doubt() -> None:
    text = sets.packed_set(RowSet(REPOSITORY_ID, "shop", 1, {1: row(1)}))
    whole = json.loads(zlib.decompress(base64.b64decode(text)))
    others: tuple[object, ...] = ({}, [], None)
    for shared in others:
        broken = base64.b64encode(zlib.compress(json.dumps({**whole, "shared": shared}).encode())).decode()
        with pytest.raises(Unreadable, match="something that rows share is missing"):
            sets.unpacked(RowSet, broken, "it")


def test_the_same_row_is_the_same_text_and_another_row_another_one() -> None:
    assert sets.packed(row(1)) == sets.packed(row(1))
    assert sets.packed(row(1)) != sets.packed(row(2))


GOOD = sets.packed(row(1))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "broken",
        GOOD[:-8],
        GOOD[8:],
        "Ünïcode",
        sets.packed({}),
        sets.packed([]),
        sets.packed(None),
        sets.packed("text"),
        sets.packed({"number": "1"}),
        sets.packed(RowSet(7, "shop")),
        sets.packed({f: [] for f in Row.__dataclass_fields__}),
    ],
)
def test_what_we_did_not_write_is_doubt_that_names_where_it_stands(text: str) -> None:
    application = {"metadata": {"name": "preview-shop-1", "annotations": {sets.ROW: text}}}
    with pytest.raises(Doubt, match=r"greenroom.dev/row of the Application preview-shop-1 does not hold what"):
        sets.row_of(application)


@given(st.binary(max_size=40) | st.text(max_size=40).map(str.encode))
def test_no_annotation_is_an_accident(junk: bytes) -> None:
    with pytest.raises(Doubt):
        sets.unpacked(Row, junk.decode("latin-1"), "it")


def test_an_annotation_that_is_gone_is_doubt_too() -> None:
    without: tuple[dict[str, str] | None, ...] = ({}, None)
    for each in without:
        with pytest.raises(Doubt):
            sets.rows_of({"metadata": {"name": "preview-shop", "annotations": each}})


@pytest.mark.parametrize(
    "labels",
    [
        None,
        {},
        {sets.NUMBER: "1"},
        {sets.NUMBER: "x", sets.REPOSITORY_ID: "7"},
        {sets.NUMBER: "", sets.REPOSITORY_ID: ""},
    ],
)
def test_labels_that_name_no_preview_name_none(labels: dict[str, str] | None) -> None:
    assert sets.identity_of({"metadata": {"labels": labels}}) is None
    assert sets.identity_of({"metadata": {"labels": {sets.REPOSITORY_ID: "7", sets.NUMBER: "3"}}}) == Identity(7, 3)


def test_two_hundred_previews_fit_and_too_many_are_refused_with_what_to_lower(monkeypatch: pytest.MonkeyPatch) -> None:
    crowd = RowSet(REPOSITORY_ID, "shop", 1, {n: row(n) for n in range(1, 201)})
    text = sets.application_set(FRAME, crowd)["metadata"]["annotations"][sets.ROWS]
    assert len(text) < sets.MAX_ANNOTATION / 4
    monkeypatch.setattr(sets, "MAX_ANNOTATION", len(text) - 1)
    with pytest.raises(Full, match=r"The rows of shop are \d+ bytes.*Lower `limits\.perRepository`"):
        sets.application_set(FRAME, crowd)


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
    assert sets.source(chart) == found
    assert (
        sets.application_spec(replace(FRAME, chart=chart))["source"] | found
        == sets.application_spec(replace(FRAME, chart=chart))["source"]
    )


def test_an_application_set_is_as_it_is_written_down() -> None:
    made = sets.application_set(FRAME, RowSet(REPOSITORY_ID, "shop", 4, {1: row(1)}))
    made["metadata"]["annotations"][sets.ROWS] = "(rows)"
    assert made == json.loads(GOLDEN.read_text())


@pytest.mark.parametrize("made", [sets.application_set(FRAME, RowSet(7, "s" * 60, 4)), sets.canary_set(FRAME, 4)])
def test_helm_takes_the_release_name_of_every_preview_however_long_its_name_is(made: dict[str, Any]) -> None:
    release = made["spec"]["template"]["spec"]["source"]["helm"]["releaseName"]
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", release), "no part of it depends on a row"
    assert len(release) <= RELEASE_LIMIT


@pytest.mark.parametrize("made", [sets.application_set(FRAME, RowSet(7, "shop", 4)), sets.canary_set(FRAME, 4)])
def test_no_set_can_delete_leave_its_project_or_be_patched(made: dict[str, Any]) -> None:
    spec = made["spec"]
    assert spec["syncPolicy"] == {"applicationsSync": "create-update"}
    assert spec["goTemplateOptions"] == ["missingkey=error"]
    assert "templatePatch" not in spec
    assert [list(g) for g in spec["generators"]] == [["plugin"]]
    assert spec["template"]["spec"]["project"] == "greenroom-previews"
    assert made["metadata"]["annotations"][sets.REFRESH] == "4"
    assert sets.canary_set(FRAME, 4)["spec"]["template"]["spec"]["syncPolicy"] == {}, "the canary is never synced"


def wanted(template: object) -> set[str]:
    return set(re.findall(r"\{\{[^}]*?\.(\w+)[^}]*\}\}", json.dumps(template)))


def test_every_field_that_a_template_wants_is_in_every_row() -> None:
    """`missingkey=error`: one field that is missing would freeze a whole set."""
    given = parameters(row(1), PLATFORM) | {"row": sets.packed(row(1))}
    assert wanted(sets.application_set(FRAME, RowSet(7, "shop"))["spec"]["template"]) <= given.keys()
    canary = sets.canary_row(FRAME, "")
    assert wanted(sets.canary_set(FRAME, 1)["spec"]["template"]) <= canary.keys()
    assert canary["chartVersion"], "an empty revision would be whatever is newest"


def test_no_repository_can_be_called_like_the_canary() -> None:
    assert FRAME.canary == "preview--canary"
    assert FRAME.name("canary") != FRAME.canary
    assert sets.repository_of({"metadata": {"labels": {sets.REPOSITORY: "shop"}}}) == "shop"
    assert sets.repository_of({}) == ""

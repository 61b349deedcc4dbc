"""Where links lead and why: staging, a chosen preview, a pair; total, deterministic, and never to what is not allowed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import NOW, digest, sha
from greenroom.core import links, names
from greenroom.core.actions import Change
from greenroom.core.catalogue import Image, Platform, Process, Repository, Service, Staging, Use
from greenroom.core.links import Neighbours, Seeker, resolved
from greenroom.core.model import Identity, Observed, Permission, RowSet
from greenroom.core.plan import plan
from greenroom.core.rows import Choice, Link, Row, Version, link_variables, parameters, revision
from greenroom.core.status import Reason
from greenroom.core.verdicts import Desired, Run

URL = (("url", "PAYMENTS_URL"),)
WEB = (Process("web", port=8080),)
PAYMENTS = Service("payments", "payments", Image("r.example.com/payments"), (Process("web", port=9000),))
LEDGER = Service("ledger", "payments", Image("r.example.com/ledger"), WEB, public=False)


def service(name: str = "shop", *uses: Use, repository: str = "shop") -> Service:
    return Service(name, repository, Image(f"r.example.com/{name}"), WEB, uses=uses)


def use(**more: Any) -> Use:
    return Use("payments", URL, **more)


def platform(*uses: Use, staging: bool = True, inside: str = "http://{service}.{namespace}:{port}") -> Platform:
    return Platform(
        "test",
        "preview.example.com",
        (
            Repository("payments", "acme/payments", (PAYMENTS, LEDGER)),
            Repository("shop", "acme/shop", (service("shop", *uses), service("admin"))),
        ),
        staging=(("payments", Staging("http://payments.staging", "https://payments.example.com")),) if staging else (),
        inside=inside,
    )


ALONE = platform(use())


def row(repository: str, number: int, on: Platform = ALONE, **changes: Any) -> Row:
    found = on.repository(repository)
    assert found
    made = Row(
        repository_id={"payments": 8, "shop": 7}[repository],
        repository=repository,
        slug=found.slug,
        number=number,
        author="ada",
        naming=names.naming(on, found, number),
        head_sha=sha(number),
        head_since=NOW,
        created=NOW,
        versions=tuple(Version(s.name, sha(number), "x", digest("x")) for s in found.services),
        services=found.services,
        branch=f"branch-{number}",
        url=f"https://github.com/{found.slug}/pull/{number}",
    )
    return replace(made, **changes)


def around(*rows: Row) -> Neighbours:
    sets: dict[int, RowSet] = {}
    for each in rows:
        known = sets.get(each.repository_id, RowSet(each.repository_id, each.repository))
        sets[each.repository_id] = replace(known, rows={**known.rows, each.number: each})
    return Neighbours.of(Observed(sets=sets))


def seeker(on: Platform = ALONE, **changes: Any) -> Seeker:
    shop = on.repository("shop")
    assert shop
    return replace(Seeker(on, shop, names.naming(on, shop, 2), 2, "ada", "idea"), **changes)


def found(seeks: Seeker, *rows: Row, access: links.Access | None = None) -> Link:
    rights = access or {(slug, login): Permission.WRITE for slug in ("acme/shop", "acme/payments") for login in PEOPLE}
    answer = resolved(seeks, around(*rows), rights)
    assert not isinstance(answer, Reason), answer
    [link] = answer
    return link


PEOPLE = ("ada", "grace")
CHOSEN = (Choice("payments", "17", "ada", 5),)


def test_nobody_chose_anything_so_it_is_staging() -> None:
    link = found(seeker(), row("payments", 17))
    assert (link.url, link.public, link.name, link.why) == (
        "http://payments.staging",
        "https://payments.example.com",
        "staging",
        "staging",
    )
    assert link_variables(link) == {"PAYMENTS_URL": "http://payments.staging"}


def test_a_chosen_preview_answers_inside_and_for_browsers() -> None:
    parts = (("url", "A"), ("public", "B"), ("host", "C"), ("port", "D"))
    link = found(seeker(platform(Use("payments", parts)), choices=CHOSEN), row("payments", 17))
    assert link_variables(link) == {
        "A": "http://payments.preview-payments-17:9000",
        "B": "https://payments-pr-17.preview.example.com",
        "C": "payments.preview-payments-17",
        "D": "9000",
    }
    assert (link.name, link.why, link.namespace, link.port) == (
        "payments#17",
        "ada chose it",
        "preview-payments-17",
        9000,
    )


@pytest.mark.parametrize(
    ("choice", "rows"),
    [
        (Choice("payments", "17", "ada", 5), ()),
        (Choice("payments", "17", "ada", 5), (row("payments", 18),)),
        (Choice("payments", "17", "ada", 5, refused=True), (row("payments", 17),)),
    ],
    ids=["gone, or never there", "another number", "of a repository that the person may not read"],
)
def test_what_does_not_exist_and_what_is_forbidden_get_the_same_answer(choice: Choice, rows: tuple[Row, ...]) -> None:
    link = found(seeker(choices=(choice,)), *rows)
    assert link.name == "staging"
    assert link.wanted == (0 if choice.refused else 17), "and the other side hears nothing of who may not read it"
    assert link.why == "until payments#17, which ada chose, has a preview that may be used"


@pytest.mark.parametrize("to", ["staging", "default"])
def test_a_person_goes_back_to_staging(to: str) -> None:
    assert found(seeker(choices=(Choice("payments", to, "ada", 9),)), row("payments", 17)).name == "staging"


def test_without_it_a_preview_that_requires_another_one_waits() -> None:
    strict = seeker(platform(use(required=True), staging=False))
    answer = resolved(strict, around(), {})
    assert isinstance(answer, Reason)
    assert answer.code == "link-required"
    answer = resolved(replace(strict, choices=CHOSEN), around(), {})
    assert isinstance(answer, Reason)
    assert "until payments#17, which ada chose, has a preview" in answer.text
    assert found(replace(strict, choices=CHOSEN), row("payments", 17)).name == "payments#17"


LATER = (Choice("payments", "99", "grace", 6),)
NOT_YET = "until payments#99, which grace chose, has a preview that may be used"


def test_a_choice_without_a_preview_keeps_the_link_that_works() -> None:
    before = found(seeker(choices=CHOSEN), row("payments", 17))
    kept = found(seeker(choices=LATER, known=(before,)), row("payments", 17))
    assert (kept.name, kept.url, kept.wanted, kept.why) == ("payments#17", before.url, 99, NOT_YET)
    again = found(seeker(choices=LATER, known=(kept,)), row("payments", 17))
    assert again == kept, "it stays so from pass to pass"


def test_the_later_choice_counts_once_its_preview_appears() -> None:
    kept = found(
        seeker(choices=LATER, known=(found(seeker(choices=CHOSEN), row("payments", 17)),)), row("payments", 17)
    )
    moved = found(seeker(choices=LATER, known=(kept,)), row("payments", 17), row("payments", 99))
    assert (moved.name, moved.why, moved.wanted) == ("payments#99", "grace chose it", 0)


def test_a_link_whose_chosen_preview_is_removed_does_not_return_to_an_earlier_choice() -> None:
    there = found(seeker(choices=LATER), row("payments", 17), row("payments", 99))
    gone = found(seeker(choices=LATER, known=(there,)), row("payments", 17))
    assert (gone.name, gone.wanted, gone.why) == ("staging", 99, NOT_YET)
    assert found(seeker(choices=LATER, known=(gone,)), row("payments", 17)) == gone


def test_a_kept_link_falls_back_when_its_own_preview_is_removed() -> None:
    kept = found(
        seeker(choices=LATER, known=(found(seeker(choices=CHOSEN), row("payments", 17)),)), row("payments", 17)
    )
    gone = found(seeker(choices=LATER, known=(kept,)))
    assert (gone.name, gone.wanted, gone.why) == ("staging", 99, NOT_YET)


def test_a_choice_that_may_not_be_read_keeps_the_same_link_as_one_that_does_not_exist() -> None:
    known = (found(seeker(choices=CHOSEN), row("payments", 17)),)
    hidden = (replace(LATER[0], refused=True),)
    kept = found(seeker(choices=hidden, known=known), row("payments", 17), row("payments", 99))
    missing = found(seeker(choices=LATER, known=known), row("payments", 17))
    assert replace(missing, wanted=0) == kept


def test_staging_that_was_chosen_stays_although_the_own_service_would_be_the_default() -> None:
    on = replace(platform(Use("admin", URL)), staging=(("admin", Staging("http://a", "https://a.example.com")),))
    before = found(seeker(on, choices=(Choice("admin", "staging", "ada", 1),)))
    kept = found(seeker(on, choices=(Choice("admin", "99", "ada", 2),), known=(before,)))
    assert (before.name, kept.name) == ("staging", "staging")


PAIRED = platform(use(same_branch=True))
PAIR = row("payments", 17, PAIRED, branch="idea", author="grace")


def test_the_same_branch_needs_no_command() -> None:
    assert (found(seeker(PAIRED), PAIR).name, found(seeker(PAIRED), PAIR).why) == ("payments#17", "same branch")
    assert found(seeker(PAIRED), replace(PAIR, branch="other")).name == "staging"
    assert found(seeker(platform(use())), PAIR).name == "staging", "only where the service prefers it"


def test_a_choice_goes_before_a_pair() -> None:
    chosen = seeker(PAIRED, choices=(Choice("payments", "staging", "ada", 1),))
    assert found(chosen, PAIR).name == "staging"
    assert found(replace(chosen, choices=(Choice("payments", "default", "ada", 2),)), PAIR).name == "payments#17"


@pytest.mark.parametrize("side", ["ours", "theirs"])
def test_pull_requests_that_name_each_other_are_a_pair(side: str) -> None:
    other = replace(PAIR, branch="other", mentions=("acme/shop#2",) if side == "theirs" else ())
    mine = seeker(PAIRED, mentions=("acme/payments#17",) if side == "ours" else ())
    assert (found(mine, other).name, found(mine, other).why) == ("payments#17", "they name each other")


def test_two_of_one_branch_are_no_pair() -> None:
    link = found(seeker(PAIRED), PAIR, replace(PAIR, number=18))
    assert link.name == "staging"
    assert "payments#17 and payments#18" in link.why


@pytest.mark.parametrize("slug", ["acme/shop", "acme/payments"])
@pytest.mark.parametrize("login", PEOPLE)
@pytest.mark.parametrize("right", [Permission.READ, Permission.NONE, Permission.UNKNOWN])
def test_both_authors_must_write_in_both_repositories(slug: str, login: str, right: Permission) -> None:
    rights = {(s, p): Permission.WRITE for s in ("acme/shop", "acme/payments") for p in PEOPLE} | {(slug, login): right}
    assert found(seeker(PAIRED), PAIR, access=rights).name == "staging"
    linked = seeker(PAIRED, known=(found(seeker(PAIRED), PAIR),))
    stays = right is Permission.UNKNOWN
    assert (found(linked, PAIR, access=rights).name == "payments#17") is stays, "doubt moves nothing"


def test_a_pair_that_goes_is_remembered_by_the_one_that_stays() -> None:
    before = found(seeker(PAIRED), PAIR)
    gone = found(seeker(PAIRED, known=(before,)))
    assert (gone.name, gone.wanted) == ("staging", 17)
    assert found(seeker(PAIRED, known=(gone,))).wanted == 17
    assert found(seeker(PAIRED, known=(gone,)), PAIR).name == "payments#17"


def test_a_service_of_the_same_preview_comes_first() -> None:
    on = platform(Use("admin", (("url", "ADMIN_URL"),), same_branch=True))
    other = row("shop", 9, on, branch="idea")
    link = found(seeker(on), other)
    assert (link.url, link.why) == ("http://admin.preview-shop-2:8080", "same preview")
    chosen = seeker(on, choices=(Choice("admin", "9", "ada", 1),))
    assert found(chosen, other).name == "admin#9"
    own = seeker(on, choices=(Choice("admin", "2", "ada", 1),))
    assert found(own, row("shop", 2, on)).why == "same preview"


OWN = Use("admin", (("url", "ADMIN_URL"),), required=True)


def test_an_own_service_is_a_preview_that_answers() -> None:
    assert found(seeker(platform(OWN))).name == "this preview"


@pytest.mark.parametrize(
    ("to", "why"),
    [
        ("staging", "ada chose it, but admin has no staging"),
        ("9", "until admin#9, which ada chose, has a preview that may be used"),
    ],
)
def test_an_own_service_that_is_not_elsewhere_is_the_own_one_and_says_why(to: str, why: str) -> None:
    link = found(seeker(platform(OWN), choices=(Choice("admin", to, "ada", 1),)))
    assert (link.name, link.url, link.why) == ("this preview", "http://admin.preview-shop-2:8080", why)


def test_a_choice_that_is_taken_back_was_no_pair() -> None:
    chosen = found(seeker(PAIRED, choices=CHOSEN), replace(PAIR, branch="other"))
    back = found(seeker(PAIRED, choices=(Choice("payments", "default", "ada", 6),), known=(chosen,)))
    assert (back.name, back.why, back.wanted) == ("staging", "staging", 0)


def test_a_pair_whose_branch_is_renamed_is_forgotten() -> None:
    before = found(seeker(PAIRED), PAIR)
    after = found(seeker(PAIRED, known=(before,)), replace(PAIR, branch="other"))
    assert (after.why, after.wanted) == ("staging", 0)


def test_a_pair_stays_together_while_a_choice_has_no_preview_and_only_while_both_may_write() -> None:
    seeks = seeker(PAIRED, choices=LATER, known=(found(seeker(PAIRED), PAIR),))
    kept = found(seeks, PAIR)
    assert (kept.name, kept.paired, kept.wanted, kept.why) == ("payments#17", True, 99, NOT_YET)
    parted = found(replace(seeks, known=(kept,)), PAIR, access={**ALL, ("acme/shop", "grace"): Permission.READ})
    assert (parted.name, parted.paired) == ("staging", False)
    gone = found(replace(seeks, known=(kept,)))
    back = found(seeker(PAIRED, choices=(Choice("payments", "default", "ada", 9),), known=(gone,)))
    assert (gone.name, back.why) == ("staging", "staging"), "what was chosen was never a pair"


ALL = {(slug, login): Permission.WRITE for slug in ("acme/shop", "acme/payments") for login in PEOPLE}
STRANGER = replace(PAIR, number=18, author="mallory")


@pytest.mark.parametrize("more", [{}, {"branch": "zzz", "mentions": ("acme/shop#2",)}], ids=["branch", "word"])
def test_a_pull_request_of_somebody_who_may_not_write_here_disturbs_no_pair(more: Any) -> None:
    rights = {**ALL, ("acme/shop", "mallory"): Permission.NONE, ("acme/payments", "mallory"): Permission.WRITE}
    link = found(seeker(PAIRED), PAIR, replace(STRANGER, **more), access=rights)
    assert (link.name, link.why) == ("payments#17", "same branch")


def test_what_nobody_may_use_is_not_spoken_of() -> None:
    none = dict.fromkeys(ALL, Permission.NONE)
    assert found(seeker(PAIRED), PAIR, replace(PAIR, number=18), access=none).why == "staging"


def test_a_description_that_names_what_does_not_exist_or_may_not_be_used_is_answered() -> None:
    mine, why = seeker(PAIRED, mentions=("acme/payments#17",)), "until payments#17, which the description names, has"
    hidden = replace(PAIR, branch="other")
    assert found(mine).why.startswith(why)
    assert found(mine, hidden, access=dict.fromkeys(ALL, Permission.NONE)).why == found(mine).why


def test_what_only_the_inside_can_reach_needs_a_cluster() -> None:
    on = replace(platform(Use("ledger", URL)), staging=(("ledger", Staging("http://s", "http://s")),))
    chosen = (Choice("ledger", "17", "ada", 1),)
    assert found(seeker(on, choices=chosen), row("payments", 17, on)).url == "http://ledger.preview-payments-17:8080"


def test_a_chain_and_a_cycle_are_links_like_others() -> None:
    one = row("shop", 2, links=(Link("shop", "payments", URL, "http://x", "", number=17, port=9000),))
    back = Link("payments", "shop", URL, "http://y", "", number=2, port=8080)
    two = row("payments", 17, links=(back,))
    both = around(one, two)
    assert both.awake() == {Identity(7, 2), Identity(8, 17)}
    assert [(r.repository, k.target) for r, k in both.users(two)] == [("shop", "payments")]
    assert links.opened(two, both) == (("payments", "preview-shop-2", 9000),)
    assert links.opened(one, both) == (("shop", "preview-payments-17", 8080),)


def test_who_is_used_by_somebody_awake_stays_awake_however_far() -> None:
    def linked(number: int, to: int, sleepy: bool) -> Row:
        link = Link("shop", "shop", URL, "http://x", "", number=to)
        return row("shop", number, links=(link,) if to else (), sleepy=sleepy)

    chain = (linked(1, 2, False), linked(2, 3, True), linked(3, 0, True), linked(4, 5, True), linked(5, 4, True))
    assert {i.number for i in around(*chain).awake()} == {1, 2, 3}, "two sleepers do not keep each other awake"


def test_being_used_restarts_nobody_and_opens_one_port_to_one_namespace() -> None:
    used = row("payments", 17)
    opened = replace(used, open_to=(("payments", "preview-shop-2", 9000),))
    assert revision(PAYMENTS, used) == revision(PAYMENTS, opened)
    values: Any = parameters(opened, ALONE)["values"]
    assert values["services"]["payments"]["openTo"] == [{"namespace": "preview-shop-2", "port": 9000}]
    assert values["services"]["ledger"]["openTo"] == []


def test_a_service_knows_its_own_address_and_who_calls_it_from_a_browser() -> None:
    api = replace(PAYMENTS, address=(("public", "PUBLIC_URL"), ("origins", "CORS")))
    used = row("payments", 17, services=(api,))
    caller = row("shop", 2, links=(Link("shop", "payments", URL, "http://x", "", number=17),))
    given_values = {v: value for _, v, value in links.given(used, ALONE, around(used, caller))}
    own = "https://payments-pr-17.preview.example.com"
    browsers = [own, "https://shop-pr-2.preview.example.com", "https://admin-pr-2.preview.example.com"]
    assert given_values == {"PUBLIC_URL": own, "CORS": ",".join(browsers)}


# --- properties --------------------------------------------------------------------------------------------------

NUMBERS = st.integers(1, 4)
ROWS = st.lists(
    st.builds(
        lambda repository, number, branch, author, mention: row(
            repository, number, branch=branch, author=author, mentions=mention
        ),
        st.sampled_from(["payments", "shop"]),
        NUMBERS,
        st.sampled_from(["idea", "other", ""]),
        st.sampled_from(PEOPLE),
        st.sampled_from([(), ("acme/shop#2",), ("acme/payments#3",)]),
    ),
    max_size=6,
    unique_by=lambda r: (r.repository, r.number),
)
CHOICES = st.lists(
    st.builds(
        lambda service, to, refused: Choice(service, to, "ada", 1, refused),
        st.sampled_from(["payments", "admin"]),
        st.sampled_from(["staging", "default", "1", "2", "3", "99"]),
        st.booleans(),
    ),
    max_size=2,
    unique_by=lambda c: c.service,
).map(tuple)
RIGHTS = st.fixed_dictionaries(
    {(s, p): st.sampled_from(list(Permission)) for s in ("acme/shop", "acme/payments") for p in PEOPLE}
)
USES = st.lists(
    st.builds(
        Use, st.sampled_from(["payments", "admin"]), st.just(URL), same_branch=st.booleans(), required=st.booleans()
    ),
    min_size=1,
    max_size=2,
    unique_by=lambda u: u.service,
)


@given(ROWS, ROWS, CHOICES, CHOICES, RIGHTS, USES, st.booleans(), st.randoms())
def test_resolution_is_total_stable_allowed_and_says_why(
    rows: list[Row],
    earlier: list[Row],
    choices: tuple[Choice, ...],
    chosen_earlier: tuple[Choice, ...],
    rights: Any,
    wanted: list[Use],
    staging: bool,
    random: Any,
) -> None:
    on = platform(*wanted, staging=staging)
    known = resolved(seeker(on, choices=chosen_earlier), around(*earlier), rights)
    seeks = seeker(on, choices=choices, known=() if isinstance(known, Reason) else known)
    answer = resolved(seeks, around(*rows), rights)
    shuffled = list(rows)
    random.shuffle(shuffled)
    assert resolved(seeks, around(*shuffled), rights) == answer, "whatever the order"
    if isinstance(answer, Reason):
        assert any(u.required for u in wanted)
        assert answer.text
        return
    assert {k.target for k in answer} >= {u.service for u in wanted if staging or u.service == "admin"}
    by_name = {u.service: u for u in wanted}
    again = resolved(replace(seeks, known=answer), around(*rows), rights)
    assert again == answer, "what is resolved stays"
    for link in answer:
        assert link.why
        assert link.url
        if not link.number:
            assert link.own or not by_name[link.target].required
            continue
        home = {"payments": "payments", "admin": "shop"}[link.target]
        target = next(r for r in rows if (r.repository, r.number) == (home, link.number))
        chosen = [c for c in choices if (c.service, c.to) == (link.target, str(link.number))]
        before = [c for c in chosen_earlier if (c.service, c.to) == (link.target, str(link.number))]
        waits = [c for c in choices if c.service == link.target and c.to.isdecimal() and c not in chosen]
        if chosen and not link.paired:
            assert not chosen[0].refused
        elif before and waits and not link.paired:
            assert not before[0].refused, "what was chosen before stays until the later choice has a preview"
        else:
            assert by_name[link.target].same_branch
            assert {rights[s, p] for s in ("acme/shop", "acme/payments") for p in ("ada", target.author)} <= {
                Permission.WRITE,
                Permission.ADMIN,
            }


def test_names_that_are_held_keep_what_follows_from_them() -> None:
    """A changed domain waits for a person; until then nothing of it reaches the services."""
    api = replace(PAYMENTS, address=(("public", "PUBLIC_URL"),))
    on = replace(ALONE, repositories=(Repository("payments", "acme/payments", (api,)),))
    moved = replace(on, domain="other.example.com")
    old = row("payments", 17, on, given=(("payments", "PUBLIC_URL", "https://payments-pr-17.preview.example.com"),))
    new = row("payments", 17, moved, given=(("payments", "PUBLIC_URL", "https://payments-pr-17.other.example.com"),))
    identity, reason = Identity(8, 17), Reason("wanted", "")
    rows = RowSet(8, "payments", 1, {17: old})
    found = plan(Desired({identity: Run(new, reason, NOW)}), Observed(sets={8: rows}), rows, NOW)
    assert [a for a in found.actions if isinstance(a, Change)] == []
    assert identity in found.holds

"""Where links lead and why: staging, a chosen preview, a pair; total, deterministic, and never to what is not allowed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import NOW, changed, digest, sha
from greenroom.core import messages
from greenroom.core.linking import links
from greenroom.core.linking.addresses import link_variables
from greenroom.core.linking.links import LinkContext, LinkIndex, resolved, source
from greenroom.core.model.actions import Change
from greenroom.core.model.catalog import Image, Platform, Process, Repository, Service, Staging, Use
from greenroom.core.model.engine import EngineState, PreviewSet
from greenroom.core.model.github import Permission, Permissions
from greenroom.core.model.spec import (
    Build,
    Caller,
    Config,
    Identity,
    Injected,
    Link,
    LinkOverride,
    Origin,
    PreviewSpec,
    Times,
    Version,
)
from greenroom.core.model.status import Reason
from greenroom.core.model.verdicts import Desired, Run
from greenroom.core.planning import names
from greenroom.core.planning.chart_values import parameters, revision
from greenroom.core.planning.plan import plan

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


def spec(repository: str, number: int, on: Platform = ALONE, **changes: Any) -> PreviewSpec:
    found = on.repository(repository)
    assert found
    made = PreviewSpec(
        id=Identity({"payments": 8, "shop": 7}[repository], number),
        names=names.naming(on, found, number),
        build=Build(sha(number), tuple(Version(s.name, sha(number), "x", digest("x")) for s in found.services)),
        config=Config(found.services),
        pull_request=Origin(found.slug, "ada", f"https://github.com/{found.slug}/pull/{number}", f"branch-{number}"),
        times=Times(NOW, NOW),
    )
    return changed(made, **changes)


def index(*specs: PreviewSpec) -> LinkIndex:
    sets: dict[int, PreviewSet] = {}
    for each in specs:
        known = sets.get(each.id.repository_id, PreviewSet(each.id.repository_id, each.names.repository))
        sets[each.id.repository_id] = replace(known, specs={**known.specs, each.id.number: each})
    return LinkIndex.of(EngineState(sets=sets))


def context_of(on: Platform = ALONE, **changes: Any) -> LinkContext:
    shop = on.repository("shop")
    assert shop
    return replace(LinkContext(on, shop, names.naming(on, shop, 2), 2, "ada", "idea"), **changes)


def name(link: Link) -> str:
    return source(link, ALONE)


def why(link: Link) -> str:
    return messages.link_reason(link.target, link.why)


def found(
    context: LinkContext, *specs: PreviewSpec, access: Mapping[tuple[str, str], Permission] | None = None
) -> Link:
    rights = access or {(slug, login): Permission.WRITE for slug in ("acme/shop", "acme/payments") for login in PEOPLE}
    answer = resolved(context, index(*specs), Permissions(people=rights))
    assert not isinstance(answer, Reason), answer
    [link] = answer
    return link


PEOPLE = ("ada", "grace")
CHOSEN = (LinkOverride("payments", "17", "ada", 5),)


def test_link_without_a_choice_points_to_staging() -> None:
    link = found(context_of(), spec("payments", 17))
    assert (link.url, link.public, name(link), why(link)) == (
        "http://payments.staging",
        "https://payments.example.com",
        "staging",
        "staging",
    )
    assert link_variables(link) == {"PAYMENTS_URL": "http://payments.staging"}


def test_a_chosen_preview_answers_inside_and_for_browsers() -> None:
    parts = (("url", "A"), ("public", "B"), ("host", "C"), ("port", "D"))
    link = found(context_of(platform(Use("payments", parts)), choices=CHOSEN), spec("payments", 17))
    assert link_variables(link) == {
        "A": "http://payments.preview-payments-17:9000",
        "B": "https://payments-pr-17.preview.example.com",
        "C": "payments.preview-payments-17",
        "D": "9000",
    }
    assert (name(link), why(link), link.namespace, link.port) == (
        "payments#17",
        "ada chose it",
        "preview-payments-17",
        9000,
    )


@pytest.mark.parametrize(
    ("choice", "preview_set"),
    [
        (LinkOverride("payments", "17", "ada", 5), ()),
        (LinkOverride("payments", "17", "ada", 5), (spec("payments", 18),)),
        (LinkOverride("payments", "17", "ada", 5, refused=True), (spec("payments", 17),)),
    ],
    ids=["gone, or never there", "another number", "of a repository that the person may not read"],
)
def test_what_does_not_exist_and_what_is_forbidden_get_the_same_answer(
    choice: LinkOverride, preview_set: tuple[PreviewSpec, ...]
) -> None:
    link = found(context_of(choices=(choice,)), *preview_set)
    assert name(link) == "staging"
    assert link.wanted == (0 if choice.refused else 17), "and the other side hears nothing of who may not read it"
    assert why(link) == "until the preview that ada chose with /preview use payments#17 exists and may be used"


@pytest.mark.parametrize("to", ["staging", "default"])
def test_a_person_returns_to_staging(to: str) -> None:
    assert name(found(context_of(choices=(LinkOverride("payments", to, "ada", 9),)), spec("payments", 17))) == "staging"


def test_preview_waits_for_a_required_preview() -> None:
    strict = context_of(platform(use(required=True), staging=False))
    answer = resolved(strict, index(), Permissions())
    assert isinstance(answer, Reason)
    assert answer.code == "link-required"
    answer = resolved(replace(strict, choices=CHOSEN), index(), Permissions())
    assert isinstance(answer, Reason)
    assert "until the preview that ada chose with /preview use payments#17 exists" in answer.text
    assert name(found(replace(strict, choices=CHOSEN), spec("payments", 17))) == "payments#17"


LATER = (LinkOverride("payments", "99", "grace", 6),)
NOT_YET = "until the preview that grace chose with /preview use payments#99 exists and may be used"


def test_a_choice_without_a_preview_keeps_the_link_that_works() -> None:
    before = found(context_of(choices=CHOSEN), spec("payments", 17))
    kept = found(context_of(choices=LATER, known=(before,)), spec("payments", 17))
    assert (name(kept), kept.url, kept.wanted, why(kept)) == ("payments#17", before.url, 99, NOT_YET)
    again = found(context_of(choices=LATER, known=(kept,)), spec("payments", 17))
    assert again == kept, "it stays so from pass to pass"


def test_the_later_choice_counts_once_its_preview_appears() -> None:
    kept = found(
        context_of(choices=LATER, known=(found(context_of(choices=CHOSEN), spec("payments", 17)),)),
        spec("payments", 17),
    )
    moved = found(context_of(choices=LATER, known=(kept,)), spec("payments", 17), spec("payments", 99))
    assert (name(moved), why(moved), moved.wanted) == ("payments#99", "grace chose it", 0)


def test_a_link_whose_chosen_preview_is_removed_does_not_return_to_an_earlier_choice() -> None:
    there = found(context_of(choices=LATER), spec("payments", 17), spec("payments", 99))
    gone = found(context_of(choices=LATER, known=(there,)), spec("payments", 17))
    assert (name(gone), gone.wanted, why(gone)) == ("staging", 99, NOT_YET)
    assert found(context_of(choices=LATER, known=(gone,)), spec("payments", 17)) == gone


def test_a_kept_link_falls_back_when_its_own_preview_is_removed() -> None:
    kept = found(
        context_of(choices=LATER, known=(found(context_of(choices=CHOSEN), spec("payments", 17)),)),
        spec("payments", 17),
    )
    gone = found(context_of(choices=LATER, known=(kept,)))
    assert (name(gone), gone.wanted, why(gone)) == ("staging", 99, NOT_YET)


def test_a_choice_that_may_not_be_read_keeps_the_same_link_as_one_that_does_not_exist() -> None:
    known = (found(context_of(choices=CHOSEN), spec("payments", 17)),)
    hidden = (replace(LATER[0], refused=True),)
    kept = found(context_of(choices=hidden, known=known), spec("payments", 17), spec("payments", 99))
    missing = found(context_of(choices=LATER, known=known), spec("payments", 17))
    assert replace(missing, wanted=0) == kept


def test_staging_that_was_chosen_stays_although_the_own_service_would_be_the_default() -> None:
    on = replace(platform(Use("admin", URL)), staging=(("admin", Staging("http://a", "https://a.example.com")),))
    before = found(context_of(on, choices=(LinkOverride("admin", "staging", "ada", 1),)))
    kept = found(context_of(on, choices=(LinkOverride("admin", "99", "ada", 2),), known=(before,)))
    assert (name(before), name(kept)) == ("staging", "staging")


PAIRED = platform(use(same_branch=True))
PAIR = spec("payments", 17, PAIRED, branch="idea", author="grace")


def test_the_same_branch_needs_no_command() -> None:
    assert (name(found(context_of(PAIRED), PAIR)), why(found(context_of(PAIRED), PAIR))) == (
        "payments#17",
        "same branch",
    )
    assert name(found(context_of(PAIRED), changed(PAIR, branch="other"))) == "staging"
    assert name(found(context_of(platform(use())), PAIR)) == "staging", "only where the service prefers it"


def test_a_choice_precedes_a_pair() -> None:
    chosen = context_of(PAIRED, choices=(LinkOverride("payments", "staging", "ada", 1),))
    assert name(found(chosen, PAIR)) == "staging"
    assert name(found(replace(chosen, choices=(LinkOverride("payments", "default", "ada", 2),)), PAIR)) == "payments#17"


@pytest.mark.parametrize("side", ["ours", "theirs"])
def test_pull_requests_that_name_each_other_are_a_pair(side: str) -> None:
    other = changed(PAIR, branch="other", mentions=("acme/shop#2",) if side == "theirs" else ())
    mine = context_of(PAIRED, mentions=("acme/payments#17",) if side == "ours" else ())
    assert (name(found(mine, other)), why(found(mine, other))) == ("payments#17", "paired in a description")


def test_two_of_one_branch_are_no_pair() -> None:
    link = found(context_of(PAIRED), PAIR, changed(PAIR, number=18))
    assert name(link) == "staging"
    assert "choose one with /preview use payments#17 or /preview use payments#18" in why(link)


@pytest.mark.parametrize("slug", ["acme/shop", "acme/payments"])
@pytest.mark.parametrize("login", PEOPLE)
@pytest.mark.parametrize("right", [Permission.READ, Permission.NONE, Permission.UNKNOWN])
def test_both_authors_must_write_in_both_repositories(slug: str, login: str, right: Permission) -> None:
    rights = {(s, p): Permission.WRITE for s in ("acme/shop", "acme/payments") for p in PEOPLE} | {(slug, login): right}
    assert name(found(context_of(PAIRED), PAIR, access=rights)) == "staging"
    linked = context_of(PAIRED, known=(found(context_of(PAIRED), PAIR),))
    stays = right is Permission.UNKNOWN
    assert (name(found(linked, PAIR, access=rights)) == "payments#17") is stays, "doubt moves nothing"


def test_a_pair_that_is_removed_is_remembered_by_the_one_that_stays() -> None:
    before = found(context_of(PAIRED), PAIR)
    gone = found(context_of(PAIRED, known=(before,)))
    assert (name(gone), gone.wanted) == ("staging", 17)
    assert found(context_of(PAIRED, known=(gone,))).wanted == 17
    assert name(found(context_of(PAIRED, known=(gone,)), PAIR)) == "payments#17"


def test_a_service_of_the_same_preview_comes_first() -> None:
    on = platform(Use("admin", (("url", "ADMIN_URL"),), same_branch=True))
    other = spec("shop", 9, on, branch="idea")
    link = found(context_of(on), other)
    assert (link.url, why(link)) == ("http://admin.preview-shop-2:8080", "same preview")
    chosen = context_of(on, choices=(LinkOverride("admin", "9", "ada", 1),))
    assert name(found(chosen, other)) == "shop#9", "the preview has the name of its repository"
    own = context_of(on, choices=(LinkOverride("admin", "2", "ada", 1),))
    assert why(found(own, spec("shop", 2, on))) == "same preview"


OWN = Use("admin", (("url", "ADMIN_URL"),), required=True)


def test_an_own_service_is_a_preview_that_answers() -> None:
    assert name(found(context_of(platform(OWN)))) == "this preview"


@pytest.mark.parametrize(
    ("to", "said"),
    [
        ("staging", "ada chose it, but admin has no staging address"),
        ("9", "until the preview that ada chose with /preview use admin#9 exists and may be used"),
    ],
)
def test_an_own_service_that_is_not_elsewhere_is_the_own_one_and_says_why(to: str, said: str) -> None:
    link = found(context_of(platform(OWN), choices=(LinkOverride("admin", to, "ada", 1),)))
    assert (name(link), link.url, why(link)) == ("this preview", "http://admin.preview-shop-2:8080", said)


def test_a_choice_that_is_taken_back_was_no_pair() -> None:
    chosen = found(context_of(PAIRED, choices=CHOSEN), changed(PAIR, branch="other"))
    back = found(context_of(PAIRED, choices=(LinkOverride("payments", "default", "ada", 6),), known=(chosen,)))
    assert (name(back), why(back), back.wanted) == ("staging", "staging", 0)


def test_a_pair_whose_branch_is_renamed_is_forgotten() -> None:
    before = found(context_of(PAIRED), PAIR)
    after = found(context_of(PAIRED, known=(before,)), changed(PAIR, branch="other"))
    assert (why(after), after.wanted) == ("staging", 0)


def test_a_pair_stays_together_while_a_choice_has_no_preview_and_only_while_both_may_write() -> None:
    context = context_of(PAIRED, choices=LATER, known=(found(context_of(PAIRED), PAIR),))
    kept = found(context, PAIR)
    assert (name(kept), kept.paired, kept.wanted, why(kept)) == ("payments#17", True, 99, NOT_YET)
    parted = found(replace(context, known=(kept,)), PAIR, access={**ALL, ("acme/shop", "grace"): Permission.READ})
    assert (name(parted), parted.paired) == ("staging", False)
    gone = found(replace(context, known=(kept,)))
    back = found(context_of(PAIRED, choices=(LinkOverride("payments", "default", "ada", 9),), known=(gone,)))
    assert (name(gone), why(back)) == ("staging", "staging"), "what was chosen was never a pair"


ALL = {(slug, login): Permission.WRITE for slug in ("acme/shop", "acme/payments") for login in PEOPLE}
STRANGER = changed(PAIR, number=18, author="mallory")


@pytest.mark.parametrize("more", [{}, {"branch": "zzz", "mentions": ("acme/shop#2",)}], ids=["branch", "word"])
def test_a_pull_request_of_someone_who_may_not_write_here_disturbs_no_pair(more: Any) -> None:
    rights = {**ALL, ("acme/shop", "mallory"): Permission.NONE, ("acme/payments", "mallory"): Permission.WRITE}
    link = found(context_of(PAIRED), PAIR, changed(STRANGER, **more), access=rights)
    assert (name(link), why(link)) == ("payments#17", "same branch")


def test_pair_without_permission_is_not_mentioned() -> None:
    none = dict.fromkeys(ALL, Permission.NONE)
    assert why(found(context_of(PAIRED), PAIR, changed(PAIR, number=18), access=none)) == "staging"


def test_a_description_that_names_what_does_not_exist_or_may_not_be_used_is_answered() -> None:
    mine, said = (
        context_of(PAIRED, mentions=("acme/payments#17",)),
        "until acme/payments#17, which the description names, has",
    )
    hidden = changed(PAIR, branch="other")
    assert why(found(mine)).startswith(said)
    assert found(mine, hidden, access=dict.fromkeys(ALL, Permission.NONE)).why == found(mine).why


def test_what_only_the_inside_can_reach_needs_a_cluster() -> None:
    on = replace(platform(Use("ledger", URL)), staging=(("ledger", Staging("http://s", "http://s")),))
    chosen = (LinkOverride("ledger", "17", "ada", 1),)
    assert (
        found(context_of(on, choices=chosen), spec("payments", 17, on)).url == "http://ledger.preview-payments-17:8080"
    )


def test_preview_has_the_name_of_its_repository_in_status_graph_and_reason() -> None:
    """The service `ledger` runs in the repository `payments`, so its preview is payments#17 and not ledger#17."""
    on = replace(platform(Use("ledger", URL)), staging=(("ledger", Staging("http://s", "http://s")),))
    target = spec("payments", 17, on)
    link = found(context_of(on, choices=(LinkOverride("ledger", "17", "ada", 1),)), target)
    assert source(link, on) == links.preview_name("ledger", 17, on) == "payments#17"
    observed = EngineState(sets={8: PreviewSet(8, "payments", specs={17: target})})
    assert links.served_source(link, observed) == "payments#17"
    assert messages.relinked([(link, "payments#17")]).text == "ledger comes from payments#17 (ada chose it)."


def test_a_chain_and_a_cycle_are_links_like_others() -> None:
    one = spec("shop", 2, targets=(Link("shop", "payments", URL, "http://x", "", number=17, port=9000),))
    back = Link("payments", "shop", URL, "http://y", "", number=2, port=8080)
    two = spec("payments", 17, targets=(back,))
    both = index(one, two)
    assert both.awake() == {Identity(7, 2), Identity(8, 17)}
    assert [(r.names.repository, k.target) for r, k in both.users(two)] == [("shop", "payments")]
    assert links.callers(two, both) == (Caller("payments", "preview-shop-2", 9000),)
    assert links.callers(one, both) == (Caller("shop", "preview-payments-17", 8080),)


def test_a_preview_that_is_used_by_an_awake_preview_stays_awake_however_far() -> None:
    def linked(number: int, to: int, sleepy: bool) -> PreviewSpec:
        link = Link("shop", "shop", URL, "http://x", "", number=to)
        return spec("shop", number, targets=(link,) if to else (), sleep_requested=sleepy)

    chain = (linked(1, 2, False), linked(2, 3, True), linked(3, 0, True), linked(4, 5, True), linked(5, 4, True))
    assert {i.number for i in index(*chain).awake()} == {1, 2, 3}, "two sleepers do not keep each other awake"


@pytest.mark.parametrize(
    ("value", "preview", "exists"),
    [
        ("http://payments.preview-payments-17:9000", "payments#17", True),
        ("https://payments-pr-17.preview.example.com/api", "payments#17", True),
        ("http://payments.preview-payments-18.svc.cluster.local:9000", "payments#18", False),
        ("https://payments-pr-18.preview.example.com", "payments#18", False),
        ("https://payments-pr-017.preview.example.com", "", False),
        ("https://payments.example.com/pr-17", "", False),
        ("", "", False),
    ],
)
def test_address_set_by_hand_belongs_to_a_preview_only_if_it_is_one_of_its_hosts(
    value: str, preview: str, exists: bool
) -> None:
    target = spec("payments", 17)
    found = links.set_by_hand((("links.payments.url", value), ("links.payments.public", value)), ALONE, index(target))
    assert [(k.target, k.preview, k.spec) for k in found] == (
        [("payments", preview, target if exists else None)] if preview else []
    )


def test_new_caller_restarts_nothing_and_opens_one_port_to_one_namespace() -> None:
    used = spec("payments", 17)
    opened = changed(used, callers=(Caller("payments", "preview-shop-2", 9000),))
    assert revision(PAYMENTS, used) == revision(PAYMENTS, opened)
    values: Any = parameters(opened, ALONE)["values"]
    assert values["services"]["payments"]["openTo"] == [{"namespace": "preview-shop-2", "port": 9000}]
    assert values["services"]["ledger"]["openTo"] == []


def test_a_service_knows_its_own_address_and_who_calls_it_from_a_browser() -> None:
    api = replace(PAYMENTS, address=(("public", "PUBLIC_URL"), ("origins", "CORS")))
    used = spec("payments", 17, services=(api,))
    caller = spec("shop", 2, targets=(Link("shop", "payments", URL, "http://x", "", number=17),))
    given_values = {i.variable: i.value for i in links.injected(used, ALONE, index(used, caller))}
    own = "https://payments-pr-17.preview.example.com"
    browsers = [own, "https://shop-pr-2.preview.example.com", "https://admin-pr-2.preview.example.com"]
    assert given_values == {"PUBLIC_URL": own, "CORS": ",".join(browsers)}


# --- properties --------------------------------------------------------------------------------------------------

NUMBERS = st.integers(1, 4)
ROWS = st.lists(
    st.builds(
        lambda repository, number, branch, author, mention: spec(
            repository, number, branch=branch, author=author, mentions=mention
        ),
        st.sampled_from(["payments", "shop"]),
        NUMBERS,
        st.sampled_from(["idea", "other", ""]),
        st.sampled_from(PEOPLE),
        st.sampled_from([(), ("acme/shop#2",), ("acme/payments#3",)]),
    ),
    max_size=6,
    unique_by=lambda r: (r.names.repository, r.id.number),
)
CHOICES = st.lists(
    st.builds(
        lambda service, to, refused: LinkOverride(service, to, "ada", 1, refused),
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
    preview_set: list[PreviewSpec],
    earlier: list[PreviewSpec],
    choices: tuple[LinkOverride, ...],
    chosen_earlier: tuple[LinkOverride, ...],
    rights: Any,
    wanted: list[Use],
    staging: bool,
    random: Any,
) -> None:
    allowed = Permissions(people=rights)
    on = platform(*wanted, staging=staging)
    known = resolved(context_of(on, choices=chosen_earlier), index(*earlier), allowed)
    context = context_of(on, choices=choices, known=() if isinstance(known, Reason) else known)
    answer = resolved(context, index(*preview_set), allowed)
    shuffled = list(preview_set)
    random.shuffle(shuffled)
    assert resolved(context, index(*shuffled), allowed) == answer, "whatever the order"
    if isinstance(answer, Reason):
        assert any(u.required for u in wanted)
        assert answer.text
        return
    assert {k.target for k in answer} >= {u.service for u in wanted if staging or u.service == "admin"}
    by_name = {u.service: u for u in wanted}
    again = resolved(replace(context, known=answer), index(*preview_set), allowed)
    assert again == answer, "what is resolved stays"
    for link in answer:
        assert why(link)
        assert link.url
        if not link.number:
            assert link.own or not by_name[link.target].required
            continue
        home = {"payments": "payments", "admin": "shop"}[link.target]
        target = next(r for r in preview_set if (r.names.repository, r.id.number) == (home, link.number))
        chosen = [c for c in choices if (c.service, c.to) == (link.target, str(link.number))]
        before = [c for c in chosen_earlier if (c.service, c.to) == (link.target, str(link.number))]
        waits = [c for c in choices if c.service == link.target and c.to.isdecimal() and c not in chosen]
        if chosen and not link.paired:
            assert not chosen[0].refused
        elif before and waits and not link.paired:
            assert not before[0].refused, "what was chosen before stays until the later choice has a preview"
        else:
            assert by_name[link.target].same_branch
            assert {
                rights[s, p] for s in ("acme/shop", "acme/payments") for p in ("ada", target.pull_request.author)
            } <= {
                Permission.WRITE,
                Permission.ADMIN,
            }


def test_held_domain_change_does_not_reach_the_services() -> None:
    """A changed domain waits for a person; until then nothing of it reaches the services."""
    api = replace(PAYMENTS, address=(("public", "PUBLIC_URL"),))
    on = replace(ALONE, repositories=(Repository("payments", "acme/payments", (api,)),))
    moved = replace(on, domain="other.example.com")
    old = spec(
        "payments", 17, on, injected=(Injected("payments", "PUBLIC_URL", "https://payments-pr-17.preview.example.com"),)
    )
    new = spec(
        "payments",
        17,
        moved,
        injected=(Injected("payments", "PUBLIC_URL", "https://payments-pr-17.other.example.com"),),
    )
    identity, reason = Identity(8, 17), Reason("wanted", "")
    preview_set = PreviewSet(8, "payments", 1, {17: old})
    found = plan(Desired({identity: Run(new, reason, NOW)}), EngineState(sets={8: preview_set}), preview_set, NOW)
    assert [a for a in found.actions if isinstance(a, Change)] == []
    assert identity in found.holds

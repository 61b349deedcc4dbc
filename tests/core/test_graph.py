"""The graph of links: every link once, the same whatever the order; drawn with every end at its place."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from builders import NOW, PLATFORM, REPOSITORY, decide, facts, identity, observed, pull_request
from greenroom.core.linking.graph import graph
from greenroom.core.model.engine import Running
from greenroom.core.model.status import Stage, Status, Used, User
from greenroom.web.dashboard.graph_layout import drawn

READY = decide(facts(pull_request(1), holds=observed(1)), PLATFORM, REPOSITORY, NOW).statuses[identity(1)]
NAMES = st.sampled_from(["a#1", "a#2", "b#1", "c#7"])
USED = st.builds(
    Used,
    st.just("web"),
    st.sampled_from(["a", "b", "pay"]),
    st.sampled_from(["a#1", "b#1", "staging", "by hand", "this preview"]),
    st.sampled_from(["staging", "same preview", "ada chose it"]),
    st.just("http://x"),
    own=st.booleans(),
)
STATUSES = st.lists(
    st.builds(
        lambda name, links, used, stage: replace(READY, name=name, links=links, used_by=used, stage=stage),
        NAMES,
        st.lists(USED, max_size=4).map(tuple),
        st.lists(st.builds(User, NAMES, st.just(""), st.just(False), st.booleans()), max_size=2).map(tuple),
        st.sampled_from([Stage.READY, Stage.HELD, Stage.REMOVED, Stage.NONE]),
    ),
    unique_by=lambda s: s.name,
)


@given(STATUSES, st.randoms())
def test_every_link_is_an_edge_once_whatever_the_order(statuses: list[Status], random: Any) -> None:
    found = graph(statuses)
    shuffled = list(statuses)
    random.shuffle(shuffled)
    assert graph(shuffled) == found
    alive = [s for s in statuses if s.stage not in (Stage.NONE, Stage.REMOVED)]
    wanted = {(s.name, k.target, k.name, k.why) for s in alive for k in s.links if not k.own}
    assert [(e.source, e.target, e.name, e.why) for e in found.edges] == sorted(wanted)
    assert not {e.source for e in found.edges} & set(found.apart)


def test_a_link_leads_to_the_preview_that_answers_and_says_which_commit_runs_in_it() -> None:
    pay = Running("pay", "http://pay", "c" * 40, "", True)
    user = replace(READY, name="a#2", links=(Used("web", "pay", "shop#1", "ada chose it", "http://pay"),))
    answering = replace(READY, name="shop#1", services=(*READY.services, pay))
    [edge] = graph([user, answering]).edges
    assert (edge.name, edge.preview, edge.version) == ("shop#1", "shop#1", "c" * 40)
    assert [n.href for n in drawn((edge,)).right] == ["/previews/shop/1"], "the page has the name of the repository"
    [gone] = graph([user]).edges
    assert (gone.preview, gone.version, drawn((gone,)).right[0].href) == ("", "", "")


@given(STATUSES)
def test_every_end_of_every_line_stands_somewhere(statuses: list[Status]) -> None:
    edges = graph(statuses).edges
    picture = drawn(edges)
    assert len(picture.lines) == len(edges)
    for nodes in (picture.left, picture.right):
        heights = [n.y for n in nodes]
        assert len(set(heights)) == len(heights)
        assert all(0 < y < picture.height for y in heights)

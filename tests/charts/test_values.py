"""Every value reaches the process as it was written; every value that is none is refused by name."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from charts.rendering import CHART, Render, Values, pods, template
from charts.rendering import helm as run

# What helm's YAML takes: no surrogates, noncharacters, DEL or C1 but NEL; and no NUL, which no environment can hold.
REFUSED = "\x7f" + "".join(map(chr, range(0x80, 0xA0))).replace("\x85", "") + "\ufffe\uffff"
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=f"\0{REFUSED}"), max_size=40) | st.text(
    st.sampled_from("$(){}\\\"'`%#:|>&*!@-\n\r\t \x85\u2028\ufeffA"), max_size=12
)


def expanded(value: str) -> str:
    """What Kubernetes makes of a value where no variable of that name is set, byte by byte as it does it.

    https://github.com/kubernetes/kubernetes/blob/v1.34.0/third_party/forked/golang/expansion/expand.go
    """
    data, result, at = value.encode(), bytearray(), 0
    while at < len(data):
        if data[at : at + 1] != b"$" or at + 1 == len(data):
            result += data[at : at + 1]
            at += 1
        elif data[at + 1 : at + 2] == b"$":
            result += b"$"
            at += 2
        elif data[at + 1 : at + 2] == b"(" and (end := data.find(b")", at + 2)) >= 0:
            result += b"<" + data[at + 2 : end] + b">"
            at = end + 1
        else:
            result += b"$" + chr(data[at + 1]).encode()
            at += 2
    return result.decode(errors="replace")


def test_the_oracle_itself() -> None:
    assert [expanded(v) for v in ("$$", "$(A)", "$$(A)", "$A", "$", "$(A")] == ["$", "<A>", "$(A)", "$A", "$", "$(A"]


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(values=st.lists(TEXT, min_size=1, max_size=30))
@example(values=["".join(map(chr, range(32, 127))), "$(A)$$(A)$$$(A)$", "{{ .Values }}", "a\nb", "é$é", "- x: 1", "~"])
def test_values_reach_the_process_as_they_are(render: Render, storefront: Values, values: list[str]) -> None:
    given_env = {f"V{i}": v for i, v in enumerate(values)}
    links = {f"link-{i}": {"variables": {f"L{i}": "url"}, "url": v} for i, v in enumerate(values) if v}
    manual_overrides = {f"link-{i}": {"url": v[::-1]} for i, v in enumerate(values) if v and i % 2}
    more = {"services": {"storefront": {"env": given_env, "links": links}}, "links": manual_overrides}
    (pod,) = [pod for _, pod in pods(render(storefront, more))]
    env = {v["name"]: expanded(v["value"]) for v in pod["spec"]["containers"][0]["env"]}
    assert {k: env[k] for k in given_env} == given_env
    for i, value in enumerate(values):
        if value:
            assert env[f"L{i}"] == (value[::-1] if i % 2 else value)


@settings(max_examples=10, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(command=st.lists(TEXT, min_size=1, max_size=8))
def test_arguments_are_neither_split_nor_joined(render: Render, storefront: Values, command: list[str]) -> None:
    more = {"services": {"storefront": {"processes": {"web": {"command": command}}}}}
    (pod,) = [pod for _, pod in pods(render(storefront, more))]
    assert pod["spec"]["containers"][0]["command"] == command


@pytest.mark.parametrize("character", ["\x7f", "\x80", "\ufffe"])
def test_what_cannot_arrive_is_refused(character: str, helm: str, storefront: Values) -> None:
    more = {"services": {"storefront": {"env": {"A": character}}}}
    with pytest.raises(AssertionError, match="control characters are not allowed"):
        template(helm, storefront, more)


SERVICE = {"image": "registry.example.com/web:1", "processes": {"web": {"kind": "web"}}}


def service(**changes: Any) -> Values:
    return {"services": {"web": {**SERVICE, **changes}}}


@pytest.mark.parametrize(
    ("wrong", "names"),
    [
        ({"service": {}}, "service"),
        ({"preview": {"sleep": True}}, "sleep"),
        ({"preview": {"number": "42"}}, "number"),
        ({"settings": {"ingress": {"class": "nginx"}}}, "class"),
        ({"settings": {"ingress": {"from": [{"cidr": "10.0.0.0/8"}]}}}, "cidr"),
        ({"settings": {"scheduling": {"spot": "maybe"}}}, "spot"),
        ({"settings": {"quota": {"memory": "lots"}}}, "memory"),
        ({"links": {"payments": "https://example.com"}}, "payments"),
        ({"services": {"Web": SERVICE}}, "Web"),
        ({"services": {"web": {"image": "x"}}}, "processes"),
        (service(image=None), "image"),
        (service(env={"A": 1}), "A"),
        (service(env={"a-b": "1"}), "a-b"),
        (service(env={"1A": "1"}), "1A"),
        (service(host="no host"), "host"),
        (service(needs={"db-": {"kind": "postgresql", "version": "16", "variables": {"URL": "url"}}}), "db-"),
        (service(needs={"db": {"kind": "postgresql", "version": "16", "variables": {}}}), "variables"),
        (service(needs={"db": {"kind": "postgresql", "version": "16", "variables": {"URL": "uri"}}}), "URL"),
        (service(sharedNeeds=[{"service": "a", "variables": {"URL": "url"}}]), "name"),
        ({"manifests": {"mail": [{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}}]}}, "kind"),
        (service(resources={"memory": "256 MB"}), "memory"),
        (service(runAsUser=0), "runAsUser"),
        (service(processes={"web": {"kind": "web", "port": 0}}), "port"),
        (service(processes={"web": {"kind": "cron"}}), "schedule"),
        (service(processes={"a" * 64: {"kind": "web"}}), "a" * 64),
        (service(links={"a": {"variables": {"A": "url"}, "url": "", "namespace": "preview-a-1"}}), "port"),
    ],
)
def test_what_is_no_value_is_refused_by_name(wrong: Values, names: str, helm: str, storefront: Values) -> None:
    with pytest.raises(AssertionError, match="values don't meet the specifications") as refused:
        template(helm, {**storefront, "values": wrong})
    assert names in str(refused.value)


def test_helm_lint_finds_nothing(helm: str) -> None:
    assert "0 chart(s) failed" in run("lint", "--strict", str(CHART), binary=helm)


def test_every_field_is_described_and_none_is_open() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    selectors = {"namespaceSelector", "podSelector"}

    def walk(name: str, found: dict[str, Any]) -> None:
        if found.get("type") == "object" and name not in selectors:
            assert found.get("additionalProperties") is not None, name
        for key, inner in found.get("properties", {}).items():
            assert "$ref" in inner or "const" in inner or "description" in inner, key
            walk(key, inner)
        for inner in [found.get("items"), found.get("additionalProperties")]:
            if isinstance(inner, dict):
                walk(name, inner)

    walk("", {k: v for k, v in schema.items() if k != "definitions"})
    for key, inner in schema["definitions"].items():
        walk(key, inner)


def test_templates_know_no_hooks_lookups_or_templates_in_data() -> None:
    for path in (CHART / "templates").iterdir():
        text = path.read_text()
        for word in ("lookup", "tpl ", "helm.sh/hook", "sync-wave", ".Capabilities", ".Release.Name "):
            assert word not in text, f"{word} in {path.name}"

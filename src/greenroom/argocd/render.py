"""The mode without a controller: the same ApplicationSets with Argo CD's own PullRequest generator, as files for git.

It has the same names, hosts and chart values, and none of the gates; what is missing is said in `RESTRICTIONS`.
https://argo-cd.readthedocs.io/en/stable/operator-manual/applicationset/Generators-Pull-Request/
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from greenroom.argocd import sets
from greenroom.argocd.kube import Object
from greenroom.argocd.sets import Frame
from greenroom.core import links, names
from greenroom.core.catalogue import ImageFrom, Platform, Repository, Service
from greenroom.core.rows import Row, parameters
from greenroom.errors import FixConfiguration, Mistake

RESTRICTIONS = (
    "No gate waits for an image: a preview starts before CI has pushed it, and fails until then.",
    "No gate asks who put the label on, nor whether the branch is in a fork: code of forks runs.",
    "Argo CD compares labels case-sensitively; GitHub does not. Spell `label:` exactly as the repository does.",
    "Argo CD deletes by itself, as soon as GitHub's list leaves a pull request out, for whatever reason.",
    "Images are tags, not digests; a tag that moves is followed at the next start of a pod.",
    "No lifetime, limits, sleep, incarnations, comments, receipts or history.",
    "Links lead to the same preview or to staging, never to another preview; `required: preview` counts for nothing.",
)
KINDS = (
    ("", "ConfigMap"),
    ("", "LimitRange"),
    ("", "ResourceQuota"),
    ("", "Secret"),
    ("", "Service"),
    ("apps", "Deployment"),
    ("apps", "StatefulSet"),
    ("batch", "CronJob"),
    ("external-secrets.io", "ExternalSecret"),
    ("gateway.networking.k8s.io", "HTTPRoute"),
    ("networking.k8s.io", "Ingress"),
    ("networking.k8s.io", "NetworkPolicy"),
    ("rbac.authorization.k8s.io", "Role"),
    ("rbac.authorization.k8s.io", "RoleBinding"),
)
_NUMBER = 90071  # stands for the pull request's number until the text is made; no name of the catalogue holds it
_SHA = "c0ffee" * 6 + "beef"


def rendered(frame: Frame, platform: Platform, api_url: str, *, namespace_names: bool = True) -> list[Object]:
    """The objects to commit: the project, the policies, and one ApplicationSet for each repository.

    `namespace_names` is False for Argo CD before 3.3, whose projects cannot say which namespaces may be made.
    """
    _can_be_rendered(platform)
    sets_ = [_application_set(frame, platform, r, api_url) for r in platform.repositories]
    project = app_project(frame, namespace_names=namespace_names)
    return [project, *namespace_policy(frame), *project_policy(frame), *sets_]


def app_project(frame: Frame, *, namespace_names: bool = True) -> Object:
    """The AppProject of previews: this chart, these namespaces, and exactly the kinds that the chart renders."""
    namespaces = f"{frame.prefix}-*"
    named = {"name": namespaces} if namespace_names else {}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AppProject",
        "metadata": {"name": frame.project, "namespace": frame.namespace},
        "spec": {
            "description": "Previews of pull requests. Nothing else belongs here.",
            "sourceRepos": [sets.source(frame.chart)["repoURL"]],
            "destinations": [{"name": frame.destination, "namespace": namespaces}],
            "clusterResourceWhitelist": [{"group": "", "kind": "Namespace", **named}],
            "namespaceResourceWhitelist": [{"group": group, "kind": kind} for group, kind in KINDS],
        },
    }


def namespace_policy(frame: Frame) -> list[Object]:
    """What Applications of previews may call a namespace, and that none is adopted which exists."""
    tracking = "argocd.argoproj.io/tracking-id"
    ours = (
        f"(has(object.metadata.annotations) && '{tracking}' in object.metadata.annotations"
        f" && object.metadata.annotations['{tracking}'].startsWith('{frame.prefix}-'))"
        f" || (has(object.metadata.labels) && '{sets.INSTALLATION}' in object.metadata.labels"
        f" && object.metadata.labels['{sets.INSTALLATION}'] == '{frame.installation}')"
    )
    labels = [sets.INSTALLATION, sets.REPOSITORY_ID, sets.NUMBER]
    return _policy(
        f"greenroom-{frame.installation}-namespaces",
        ("", "v1", "namespaces"),
        ("of-a-preview", ours),
        (
            (
                f"object.metadata.name.startsWith('{frame.prefix}-')",
                f"Previews have namespaces called {frame.prefix}-* and no others.",
            ),
            (
                f"oldObject == null || {labels}.all(l,"
                " l in variables.before && l in variables.now && variables.before[l] == variables.now[l])",
                "This namespace exists and is not this preview's; it is not adopted.",
            ),
        ),
        variables=(
            ("now", "has(object.metadata.labels) ? object.metadata.labels : {}"),
            ("before", "oldObject != null && has(oldObject.metadata.labels) ? oldObject.metadata.labels : {}"),
        ),
    )


def project_policy(frame: Frame) -> list[Object]:
    """What Applications of the project are called, and that none of another project is taken over."""
    project = frame.project
    return _policy(
        f"greenroom-{frame.installation}-project",
        ("argoproj.io", "*", "applications"),
        ("of-the-project", f"object.spec.project == '{project}'"),
        (
            (
                f"object.metadata.name.startsWith('{frame.prefix}-')",
                f"Applications of the project {project} are called {frame.prefix}-* and nothing else.",
            ),
            (
                f"oldObject == null || oldObject.spec.project == '{project}'",
                "This Application exists in another project; it does not become a preview.",
            ),
        ),
    )


def _policy(
    name: str,
    of: tuple[str, str, str],
    when: tuple[str, str],
    validations: Sequence[tuple[str, str]],
    variables: Sequence[tuple[str, str]] = (),
) -> list[Object]:
    """An admission policy with its binding: `of` is group, version and resource; `when` and the rest are CEL.

    https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/
    """
    version = {"apiVersion": "admissionregistration.k8s.io/v1"}
    group, api, resource = of
    rule = {"apiGroups": [group], "apiVersions": [api], "operations": ["CREATE", "UPDATE"], "resources": [resource]}
    policy: Object = {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": [rule]},
        "matchConditions": [{"name": when[0], "expression": when[1]}],
        "validations": [{"expression": expression, "message": message} for expression, message in validations],
    }
    if variables:
        policy["variables"] = [{"name": each, "expression": expression} for each, expression in variables]
    binding = {"policyName": name, "validationActions": ["Deny"]}
    return [
        {**version, "kind": "ValidatingAdmissionPolicy", "metadata": {"name": name}, "spec": policy},
        {**version, "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": name}, "spec": binding},
    ]


def _application_set(frame: Frame, platform: Platform, repository: Repository, api_url: str) -> Object:
    owner, _, name = repository.slug.partition("/")
    github: dict[str, Any] = {
        "owner": owner,
        "repo": name,
        "labels": [platform.label],
        "tokenRef": {"secretName": "greenroom-github", "key": "token"},
    }
    if "api.github.com" not in api_url:
        github["api"] = f"{api_url.removesuffix('/api/v3')}/"
    spec = sets.application_spec(frame)
    naming = names.naming(platform, repository, _NUMBER)
    spec["source"]["targetRevision"] = platform.cluster.chart_version
    spec["source"]["helm"] = {"releaseName": sets.RELEASE, "values": _values(platform, repository)}
    spec["destination"]["namespace"] = _templated(naming.namespace)
    labels = {**frame.labels(), sets.REPOSITORY: repository.name, sets.NUMBER: "{{ .number }}"}
    metadata = {"name": _templated(naming.name), "labels": labels, "finalizers": [sets.FINALIZER]}
    generator = {"pullRequest": {"github": github, "requeueAfterSeconds": sets.REQUEUE_SECONDS}}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "ApplicationSet",
        "metadata": {
            "name": frame.name(repository.name),
            "namespace": frame.namespace,
            # Not the installation: a controller would take it for a set of its own.
            "labels": {sets.RENDERED: "true"},
        },
        "spec": {
            "goTemplate": True,
            "goTemplateOptions": ["missingkey=error"],
            "generators": [generator],
            "ignoreApplicationDifferences": [{"jsonPointers": ["/spec/source/helm/parameters"]}],
            "template": {"metadata": metadata, "spec": spec},
        },
    }


def _values(platform: Platform, repository: Repository) -> str:
    """The chart's values as the text of a Go template."""
    naming = names.naming(platform, repository, _NUMBER)
    epoch = datetime(2000, 1, 1, tzinfo=UTC)
    row = Row(
        repository_id=0,
        repository=repository.name,
        slug=repository.slug,
        number=_NUMBER,
        author="",
        naming=naming,
        head_sha=_SHA,
        head_since=epoch,
        created=epoch,
        versions=(),
        services=repository.services,
        links=links.default(platform, repository, naming),
        settings=platform.cluster.settings,
    )
    values: Any = parameters(row, platform)["values"]
    for service in repository.services:
        made = values["services"][service.name]
        made["image"] = service.image.reference(_SHA, _NUMBER)
        made["sha"] = _SHA
        made["revision"] = ""
    # Braces of the team's own settings are text, not a template.
    text = json.dumps(values, sort_keys=True).replace("{{", '{{ "{{" }}')
    return _templated(text)


def _templated(text: str) -> str:
    for known, parameter in ((_SHA, "head_sha"), (_SHA[:7], "head_short_sha_7"), (str(_NUMBER), "number")):
        text = text.replace(known, f"{{{{ .{parameter} }}}}")
    return text


def _can_be_rendered(platform: Platform) -> None:
    services: Sequence[Service] = [s for r in platform.repositories for s in r.services]
    mistakes = tuple(
        Mistake(
            f"services/{s.name}.yaml",
            "image.from",
            "Argo CD's own generator does not know the merge commit.",
            "Let CI build the head (`github.event.pull_request.head.sha`), or run the controller.",
        )
        for s in services
        if s.image.built_from is ImageFrom.MERGE
    )
    if mistakes:
        raise FixConfiguration("Not everything can be rendered without the controller.", mistakes)

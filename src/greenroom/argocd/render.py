"""The mode without a controller: the same ApplicationSets with Argo CD's own PullRequest generator, as files for git.

It has the same names, hosts and chart values, and none of the gates. `RESTRICTIONS` lists what is missing.
https://argo-cd.readthedocs.io/en/stable/operator-manual/applicationset/Generators-Pull-Request/
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from greenroom.argocd import applicationset
from greenroom.argocd.applicationset import InstallationSpec
from greenroom.argocd.client import Object
from greenroom.core.linking import links
from greenroom.core.model.catalog import ImageFrom, Platform, Repository, Service
from greenroom.core.model.spec import Build, Chart, Config, Identity, Links, Origin, PreviewSpec, Times
from greenroom.core.planning import names
from greenroom.core.planning.chart_values import parameters
from greenroom.errors import FixConfiguration, Mistake

RESTRICTIONS = (
    "Previews do not wait for images: if CI has not pushed an image yet, the preview fails until the image exists.",
    "Write access is not checked: anyone who can add the label gets a preview, and code from forks runs.",
    "Argo CD compares labels case-sensitively; GitHub does not. Spell `label:` exactly as the repository does.",
    "Argo CD deletes a preview as soon as GitHub's list omits its pull request, for whatever reason.",
    "Images are pinned by tag, not by digest. If a tag moves, a pod runs the new image after its next restart.",
    "Previews do not expire, are not limited in number, and cannot sleep or have their data reset. Greenroom posts no"
    " comments, verifies no removals and keeps no history.",
    "Links point to the same preview or to staging, never to another preview; `required: preview` is ignored.",
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
_NUMBER = 90071  # a placeholder for the pull request's number in generated text; no name in the catalog contains it
_SHA = "c0ffee" * 6 + "beef"


def rendered(
    frame: InstallationSpec, platform: Platform, api_url: str, *, namespace_names: bool = True
) -> list[Object]:
    """Return the objects to commit: the project, the policies, and one ApplicationSet for each repository.

    `namespace_names` is False for Argo CD before 3.3, whose projects cannot say which namespaces may be created.
    """
    _can_be_rendered(platform)
    sets_ = [_application_set(frame, platform, r, api_url) for r in platform.repositories]
    project = app_project(frame, namespace_names=namespace_names)
    return [project, *namespace_policy(frame), *project_policy(frame), *sets_]


def app_project(frame: InstallationSpec, *, namespace_names: bool = True) -> Object:
    """Return the AppProject of previews: this chart, these namespaces, and exactly the kinds that the chart renders."""
    namespaces = f"{frame.prefix}-*"
    named = {"name": namespaces} if namespace_names else {}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AppProject",
        "metadata": {"name": frame.project, "namespace": frame.namespace},
        "spec": {
            "description": "Previews of pull requests. Nothing else belongs here.",
            "sourceRepos": [applicationset.source(frame.chart)["repoURL"]],
            "destinations": [{"name": frame.destination, "namespace": namespaces}],
            "clusterResourceWhitelist": [{"group": "", "kind": "Namespace", **named}],
            "namespaceResourceWhitelist": [{"group": group, "kind": kind} for group, kind in KINDS],
        },
    }


def namespace_policy(frame: InstallationSpec) -> list[Object]:
    """Return the policy that restricts the names of preview namespaces and rejects the adoption of existing ones."""
    tracking = "argocd.argoproj.io/tracking-id"
    ours = (
        f"(has(object.metadata.annotations) && '{tracking}' in object.metadata.annotations"
        f" && object.metadata.annotations['{tracking}'].startsWith('{frame.prefix}-'))"
        f" || (has(object.metadata.labels) && '{applicationset.INSTALLATION}' in object.metadata.labels"
        f" && object.metadata.labels['{applicationset.INSTALLATION}'] == '{frame.installation}')"
    )
    labels = [applicationset.INSTALLATION, applicationset.REPOSITORY_ID, applicationset.NUMBER]
    return _policy(
        f"greenroom-{frame.installation}-namespaces",
        ("", "v1", "namespaces"),
        ("of-a-preview", ours),
        (
            (
                f"object.metadata.name.startsWith('{frame.prefix}-')",
                f"The namespace of a preview must be named {frame.prefix}-*.",
            ),
            (
                f"oldObject == null || {labels}.all(l,"
                " l in variables.before && l in variables.now && variables.before[l] == variables.now[l])",
                "This namespace already exists and does not belong to this preview, or the update would change or"
                " remove its labels.",
            ),
        ),
        variables=(
            ("now", "has(object.metadata.labels) ? object.metadata.labels : {}"),
            ("before", "oldObject != null && has(oldObject.metadata.labels) ? oldObject.metadata.labels : {}"),
        ),
    )


def project_policy(frame: InstallationSpec) -> list[Object]:
    """Return the policy that restricts Application names in the project and rejects takeovers from other projects."""
    project = frame.project
    return _policy(
        f"greenroom-{frame.installation}-project",
        ("argoproj.io", "*", "applications"),
        ("of-the-project", f"object.spec.project == '{project}'"),
        (
            (
                f"object.metadata.name.startsWith('{frame.prefix}-')",
                f"Applications of the project {project} must be named {frame.prefix}-*.",
            ),
            (
                f"oldObject == null || oldObject.spec.project == '{project}'",
                "This Application already exists in another project and cannot become a preview.",
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
    """Return an admission policy with its binding. `of` is group, version and resource; `when` and the rest are CEL.

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


def _application_set(frame: InstallationSpec, platform: Platform, repository: Repository, api_url: str) -> Object:
    owner, _, name = repository.slug.partition("/")
    github: dict[str, Any] = {
        "owner": owner,
        "repo": name,
        "labels": [platform.label],
        "tokenRef": {"secretName": "greenroom-github", "key": "token"},
    }
    if "api.github.com" not in api_url:
        github["api"] = f"{api_url.removesuffix('/api/v3')}/"
    spec = applicationset.application_spec(frame)
    naming = names.naming(platform, repository, _NUMBER)
    spec["source"]["targetRevision"] = platform.cluster.chart_version
    spec["source"]["helm"] = {"releaseName": applicationset.RELEASE, "values": _values(platform, repository)}
    spec["destination"]["namespace"] = _templated(naming.namespace)
    labels = {**frame.labels(), applicationset.REPOSITORY: repository.name, applicationset.NUMBER: "{{ .number }}"}
    metadata = {"name": _templated(naming.name), "labels": labels, "finalizers": [applicationset.FINALIZER]}
    generator = {"pullRequest": {"github": github, "requeueAfterSeconds": applicationset.REQUEUE_SECONDS}}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "ApplicationSet",
        "metadata": {
            "name": frame.name(repository.name),
            "namespace": frame.namespace,
            # Without the installation label: a controller would treat the set as its own.
            "labels": {applicationset.RENDERED: "true"},
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
    """Return the chart's values as the text of a Go template."""
    naming = names.naming(platform, repository, _NUMBER)
    epoch = datetime(2000, 1, 1, tzinfo=UTC)
    spec = PreviewSpec(
        id=Identity(0, _NUMBER),
        names=naming,
        build=Build(_SHA, ()),
        config=Config(repository.services),
        pull_request=Origin(repository.slug, author=""),
        times=Times(epoch, epoch),
        chart=Chart(settings=platform.cluster.settings),
        links=Links(links.default(platform, repository, naming)),
    )
    values: Any = parameters(spec, platform)["values"]
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
            "Argo CD's PullRequest generator does not provide the merge commit.",
            "Have CI build the head (`github.event.pull_request.head.sha`) and set `image: { from: head }`, or run"
            " the controller.",
        )
        for s in services
        if s.image.built_from is ImageFrom.MERGE
    )
    if mistakes:
        raise FixConfiguration("Some settings cannot be rendered without the controller.", mistakes)

"""Several services in one repository: a pull request builds what it touches, the rest comes from the base branch."""

from __future__ import annotations

from dataclasses import replace

import pytest

from builders import SERVICE, digest, pull_request, sha, spec
from greenroom.core.messages import waiting_for_image
from greenroom.core.model.catalog import Repository
from greenroom.core.model.github import Missing, Present
from greenroom.core.model.spec import Version
from greenroom.core.policy.images import NotBuilt, Versions, references, touched, versions

WEB = replace(SERVICE, name="web", paths=("apps/web", "shared/*.json"))
API = replace(SERVICE, name="api", paths=("apps/api/",), image=replace(SERVICE.image, repository="registry.test/api"))
REPOSITORY = Repository("shop", "acme/shop", (WEB, API))
BASE = sha(1, 77)


@pytest.mark.parametrize(
    ("paths", "web", "api"),
    [
        ((), False, False),
        (("apps/web/page.py",), True, False),
        (("apps/web",), True, False),
        (("apps/website/page.py",), False, False),
        (("apps/api/deep/er/x.py", "README.md"), False, True),
        (("shared/colours.json",), True, False),
        (("apps/web/a", "apps/api/b"), True, True),
    ],
)
def test_which_services_a_change_touches(paths: tuple[str, ...], web: bool, api: bool) -> None:
    pull = pull_request(1, base_sha=BASE, changed=frozenset(paths))
    assert (touched(WEB, pull), touched(API, pull)) == (web, api)


def test_a_service_without_paths_is_always_touched_and_so_are_all_when_not_every_path_is_known() -> None:
    assert touched(SERVICE, pull_request(1, base_sha=BASE, changed=frozenset()))
    assert touched(API, pull_request(1, base_sha=BASE, changed=None))


def test_what_is_not_touched_runs_the_image_of_the_base_branch() -> None:
    pull = pull_request(1, base_sha=BASE, changed=frozenset({"apps/web/page.py"}))
    web, api = references(REPOSITORY, pull)
    assert web.endswith(pull.head_sha)
    assert api.endswith(BASE)
    found = versions(REPOSITORY, pull, {web: Present(digest("w")), api: Present(digest("a"))}, None)
    assert isinstance(found, Versions)
    assert [(v.service, v.sha) for v in found.versions] == [("web", pull.head_sha), ("api", BASE)]


def test_the_base_branch_moves_on_and_the_preview_does_not_until_the_next_push() -> None:
    pull = pull_request(1, base_sha=sha(1, 78), changed=frozenset({"apps/web/page.py"}))
    web = WEB.image.reference(pull.head_sha, 1)
    old = Version("api", BASE, API.image.reference(BASE, 1), digest("a"))
    held = spec(1, versions=(Version("web", pull.head_sha, web, digest("w")), old), services=REPOSITORY.services)
    found = versions(REPOSITORY, pull, {web: Present(digest("w"))}, held)
    assert isinstance(found, Versions)
    assert found.versions[1] == old
    pushed = replace(pull, head_sha=sha(1, 5))
    images = {r: Present(digest("n")) for r in references(REPOSITORY, pushed)}
    after = versions(REPOSITORY, pushed, images, held)
    assert isinstance(after, Versions)
    assert after.versions[1].sha == sha(1, 78)


def test_changed_paths_in_the_configuration_apply_at_once_to_the_same_head() -> None:
    pull = pull_request(1, base_sha=BASE, changed=frozenset({"apps/web/page.py"}))
    web, api = references(REPOSITORY, pull)
    images = {web: Present(digest("w")), api: Present(digest("a"))}
    found = versions(REPOSITORY, pull, images, None)
    assert isinstance(found, Versions)
    held = spec(1, versions=found.versions, services=REPOSITORY.services)
    wider = replace(REPOSITORY, services=(WEB, replace(API, paths=("apps/api", "apps/web"))))
    assert references(wider, pull, held) == (web, API.image.reference(pull.head_sha, 1))
    waiting = versions(wider, pull, {**images, API.image.reference(pull.head_sha, 1): Missing()}, held)
    assert isinstance(waiting, NotBuilt)


def test_a_missing_image_of_the_base_branch_is_waited_for_by_its_name() -> None:
    pull = pull_request(1, base_sha=BASE, changed=frozenset({"apps/web/page.py"}))
    web, api = references(REPOSITORY, pull)
    found = versions(REPOSITORY, pull, {web: Present(digest("w")), api: Missing()}, None)
    assert isinstance(found, NotBuilt)
    assert f"api:{BASE[:7]}…" in str(waiting_for_image(found.missing))


def test_a_repository_that_the_registry_does_not_have_is_named() -> None:
    """ECR does not create repositories at the first push: https://docs.aws.amazon.com/AmazonECR/latest/userguide/."""
    pull = pull_request(1, base_sha=BASE, changed=frozenset({"apps/web/page.py"}))
    web, api = references(REPOSITORY, pull)
    found = versions(REPOSITORY, pull, {web: Missing(), api: Missing(no_repository=True)}, None)
    assert isinstance(found, NotBuilt)
    reason = waiting_for_image(found.missing)
    assert "The registry has no repository named registry.test/api." in reason.text
    assert reason.fix.startswith(
        "Create the repository in the registry, or correct the service's `image:`. Greenroom deploys"
    )
    assert "no repository" not in str(waiting_for_image(replace(found.missing, absent=())))


@pytest.mark.parametrize(
    ("changed", "of_head", "where"),
    [
        (("apps/web/x",), Missing(), "See the checks on this pull request, and on `main` for registry.test/api:"),
        (
            ("apps/web/x",),
            Present(digest("w")),
            "The image comes from `main`, because this pull request does not change that",
        ),
        (("apps/web/x", "apps/api/x"), Missing(), "See the checks on this pull request."),
        ((), Missing(), "The images come from `main`, because this pull request does not change those services."),
    ],
    ids=["one of each", "only the base's", "only its own", "both the base's"],
)
def test_a_missing_image_is_looked_for_in_the_checks_of_its_own_branch(
    changed: tuple[str, ...], of_head: Missing | Present, where: str
) -> None:
    pull = pull_request(1, base_sha=BASE, base_ref="main", changed=frozenset(changed))
    web, api = references(REPOSITORY, pull)
    found = versions(REPOSITORY, pull, {web: of_head, api: Missing()}, None)
    assert isinstance(found, NotBuilt)
    assert where in str(waiting_for_image(found.missing))

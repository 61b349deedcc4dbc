"""What people really write wrong, and the sentence that each gets: what, where as the file has it, how to mend it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from greenroom import config
from greenroom.config.fields import in_words
from greenroom.config.settings import NO_HISTORY
from greenroom.errors import FixConfiguration

PLATFORM = """
installation: demo
domain: preview.example.com
argocd: { chart: oci://registry.example.com/charts/preview, chartVersion: 0.1.0 }
"""
SERVICE = {"repository": "acme/web", "image": "registry.example.com/acme/web", "port": 8080}


def found(path: Path, services: dict[str, str], platform: str = PLATFORM) -> list[str]:
    """Every sentence about these files, given as they are written."""
    (path / "services").mkdir(exist_ok=True)
    (path / "greenroom.yaml").write_text(platform)
    for name, text in services.items():
        (path / "services" / f"{name}.yaml").write_text(text)
    try:
        config.load(path)
    except FixConfiguration as error:
        return config.report(error).splitlines()
    return []


def about_service(path: Path, text: str) -> list[str]:
    """Sentences about a service that has these lines in place of those that every service needs."""
    keys = yaml.safe_load(text)
    lines = [f"{k}: {v}" for k, v in SERVICE.items() if k not in keys and not (k == "port" and "processes" in keys)]
    return [m.removeprefix("services/web.yaml: ") for m in found(path, {"web": "\n".join([*lines, text])})]


def about_platform(path: Path, text: str) -> list[str]:
    given = yaml.safe_load(text)
    lines = [line for line in PLATFORM.splitlines() if line.partition(":")[0] not in given]
    web = "\n".join(f"{k}: {v}" for k, v in SERVICE.items())
    return [m.removeprefix("greenroom.yaml: ") for m in found(path, {"web": web}, "\n".join([*lines, text]))]


SERVICES: list[tuple[str, str]] = [
    (
        "image: { repository: registry.example.com/acme/web, tag: {sha} }",
        'image.tag: YAML reads `{sha}` as a mapping. Quote the tag: `tag: "{sha}"`.',
    ),
    (
        "image: { repository: registry.example.com/acme/web, tag: 'größe-{sha}' }",
        "image.tag: 'größe-{sha}' does not produce a valid tag. Use the letters a to z, digits, `_`, `.` and `-` around the fields,"
        " and do not start with `.` or `-`.",
    ),
    (
        "image: { repository: registry.example.com/acme/web, tag: '-{sha}' }",
        "image.tag: '-{sha}' does not produce a valid tag. Use the letters a to z, digits, `_`, `.` and `-` around the fields,"
        " and do not start with `.` or `-`.",
    ),
    (
        f"image: {{ repository: registry.example.com/acme/web, tag: '{'x' * 88}-{{sha}}' }}",
        "image.tag: produces tags longer than 128 characters. Shorten it.",
    ),
    *(
        (
            f"image: {{ repository: registry.example.com/acme/web, tag: '{tag}' }}",
            f"image.tag: '{tag}' has an unmatched brace. Write complete fields, such as `pr-{{sha}}`.",
        )
        for tag in ("{", "{sha}{", "{{sha}}")
    ),
    (
        "seed: seed/shop.sql",
        "seed: `seed` is reserved for a later release (seeds of several needs at once)."
        " Set the seed in the need: `needs: [{ kind: postgresql, seed: seed/shop.sql }]`.",
    ),
    (
        "processes: { web: { port: 80, commnd: x } }",
        "processes.web.commnd: unknown key `commnd`. Did you mean `command`?",
    ),
    (
        "migrate: x\nmigrateTimeout: 99999999999999d",
        "migrateTimeout: '99999999999999d' is longer than ten years. Write at most `3650d`, or `never`.",
    ),
    ("migrate: x\nmigrateTimeout:", "migrateTimeout: has no value. Write a value, or remove the line."),
    ("runAsUser: 0", "runAsUser: 0 is too small. Write 1 or more."),
    ("runAsUser: node", "runAsUser: 'node' is not a whole number. Write digits without quotes."),
    ("env:\n  DEBUG:", 'env.DEBUG: has no value. Write `DEBUG: ""`.'),
    ("env:", "env: has no value. Write a value, or remove the line."),
    ("resources: { cpu: }", "resources.cpu: has no value. Write a value, or remove the line."),
    ("migrate:", "migrate: has no value. Write a value, or remove the line."),
    ("env: { ON: true }", 'env.ON: YAML reads `ON` and `true` as yes. Write `"ON": "true"`.'),
    ("env: { off: yes }", 'env.off: YAML reads `off` as no and `yes` as yes. Write `"off": "yes"`.'),
    ('env: { ON: "1" }', 'env.ON: YAML reads `ON` as yes. Write `"ON":`.'),
    ('env: { NULL: "1" }', 'env.NULL: YAML reads `NULL` as nothing. Write `"NULL":`.'),
    ('env: { 2024-01-01: "1" }', 'env.2024-01-01: YAML reads `2024-01-01` as a date. Write `"2024-01-01":`.'),
    ("env: { DEBUG: yes }", 'env.DEBUG: yes is not a string. Quote it: "yes".'),
    ("env: { VERSION: 1.10 }", 'env.VERSION: 1.10 is not a string. Quote it: "1.10".'),
    ("env: { MODE: 0755 }", 'env.MODE: 0755 is not a string. Quote it: "0755".'),
    ("env: { SINCE: 2026-01-31 }", 'env.SINCE: 2026-01-31 is not a string. Quote it: "2026-01-31".'),
    ("env: { PASSWORD: 12345678 }", "env.PASSWORD: is not a string. Put it in quotes."),
    ("env: { HOSTS: [a, b] }", 'env.HOSTS: must be a string, not a list. Write `HOSTS: "..."`.'),
    ("env: [{ name: DEBUG, value: '1' }]", 'env: must be a mapping, not a list. Write `env: { DEBUG: "1" }`.'),
    ("env: [DEBUG=1]", 'env: must be a mapping, not a list. Write `env: { DEBUG: "1" }`.'),
    ("env: [{ name: API_TOKEN, value: hunter2 }]", 'env: must be a mapping, not a list. Write `env: { DEBUG: "1" }`.'),
    (
        "env: { DB: { valueFrom: { secretKeyRef: { name: shop, key: url } } } }",
        "env.DB: must be a string, not a mapping. Write the Secret's name: `envFrom: [shop]`.",
    ),
    (
        "envFrom: [{ secretRef: { name: shop } }]",
        "envFrom.0: must be a string, not a mapping. Write the Secret's name: `envFrom: [shop]`.",
    ),
    ("envFrom: shop", "envFrom: 'shop' is not a list. Write it as `[shop]`."),
    (
        "envFrom: [Shop]",
        "envFrom.0: 'Shop' is not a valid Secret name. Use lowercase letters, digits, `-` and `.`, starting and ending with a letter or digit.",
    ),
    ("repository: web", "repository: 'web' is not a valid repository. Write `owner/name`."),
    ("repository: CHANGE-ME", "repository: 'CHANGE-ME' is not a valid repository. Write `owner/name`."),
    (
        "repository: https://github.com/acme/web",
        "repository: 'https://github.com/acme/web' is not a valid repository. Write `acme/web`.",
    ),
    (
        "repository: git@github.com:acme/web.git",
        "repository: 'git@github.com:acme/web.git' is not a valid repository. Write `acme/web`.",
    ),
    (
        "name: My_Web",
        "name: 'My_Web' is not a valid name. Write `my-web`: lowercase letters, digits and `-`, starting with a letter.",
    ),
    (
        "processes: { Web: { port: 1 } }",
        "processes.Web: 'Web' is not a valid name. Write `web`: lowercase letters, digits and `-`, starting with a letter.",
    ),
    ("uses: [api]", "uses.0: 'api' does not name a variable. Write `{ service: api, as: API_URL }`."),
    ("uses: { api: API_URL }", "uses: must be a list, not a mapping. Write `uses: [{ service: api, as: API_URL }]`."),
    (
        "uses: [{ service: web-api, as: web-api }]",
        "uses.0.as: 'web-api' is not a valid variable name. Write `WEB_API`: letters, digits and `_`, not starting with a digit.",
    ),
    (
        "env: { 1A: '1' }",
        "env.1A: '1A' is not a valid variable name. Use letters, digits and `_`, not starting with a digit.",
    ),
    (
        "probe: /healthz",
        "probe: belongs to a process. Write `processes: { web: { port: 8080, probe: /healthz } }` instead of `port:`.",
    ),
    (
        "replicas: 2",
        "replicas: belongs to a process. Write `processes: { web: { port: 8080, replicas: 2 } }` instead of `port:`.",
    ),
    (
        "command: [python, -m, web]\nprocesses: { web: { port: 1 } }",
        "command: belongs to a process."
        ' Use an entry of `processes:` instead, such as `web: { command: [python, "-m", web] }`.',
    ),
    (
        "probe: /healthz\nreplicas: 2\ncommand: npm start",
        "probe: `probe`, `replicas` and `command` belong to a process. Write `processes: { web: { port: 8080,"
        ' probe: /healthz, replicas: 2, command: "npm start" } }` instead of `port:`.',
    ),
    (
        "resources: { requests: { cpu: 100m }, limits: { memory: 512Mi, cpu: 1 } }",
        "resources: is in the Kubernetes format. Write `resources: { cpu: 100m, memoryLimit: 512Mi }`.",
    ),
    (
        "resources: { limits: 512Mi }",
        "resources: is in the Kubernetes format. Write `resources: { cpu: 100m, memoryLimit: 512Mi }`.",
    ),
    (
        "port: 8080\nprocesses: { web: {} }",
        "has both `port:` and `processes:`. Remove `port:`, and give `processes.web` the port.",
    ),
    ("processes: {}", "has neither `port:` (one web process) nor `processes:`. Write one of the two."),
    (
        "image: registry.example.com/Acme/Web",
        "image: 'registry.example.com/Acme/Web' contains uppercase letters, but image names are lowercase."
        " Write `registry.example.com/acme/web`.",
    ),
    (
        "image: registry.example.com/acme/web:latest",
        "image: 'registry.example.com/acme/web:latest' includes a tag, but the tag belongs under `tag:`. Remove `:latest`.",
    ),
    (
        "image: { repository: registry.example.com:5000/web@sha256:0 }",
        "image.repository: 'registry.example.com:5000/web@sha256:0' includes a tag, but the tag belongs under `tag:`."
        " Remove `@sha256:0`.",
    ),
    (
        "image: ghcr.io/Acme/Web:latest",
        "image: 'ghcr.io/Acme/Web:latest' includes a tag, but the tag belongs under `tag:`."
        " Write `ghcr.io/acme/web`, in lowercase.",
    ),
    (
        "image: web:1",
        "image: 'web:1' has no registry host. Write the host first: `registry.example.com/web`.",
    ),
    (
        "image: CHANGE-ME",
        "image: 'CHANGE-ME' has no registry host. Write the host first: `registry.example.com/shop/catalog`.",
    ),
    (
        "image: registry.example.com:99999/web",
        "image: 'registry.example.com:99999/web' has an invalid port. Ports range from 1 to 65535.",
    ),
    ("image: [a]", "image: must be a mapping, not a list. Write `key: value` lines, indented."),
    ('migrate: "sh -c \'foo"', 'migrate: a quote is not closed. Write a list, such as `[sh, -c, "..."]`.'),
    ("migrate: [sleep, 5]", "migrate: contains 5, which is not a string. Put it in quotes."),
    (
        "processes: { web: { port: 1, probe: healthz } }",
        "processes.web.probe: 'healthz' is not a valid path. Start it with `/`: `/healthz`.",
    ),
    (
        "processes: { web: { port: 1 }, jobs: { kind: worker, port: 2 } }",
        "processes.jobs: a worker cannot have a port, because nothing calls it. Remove `port:`, or set `kind: web`.",
    ),
    (
        'processes: { web: { port: 1 }, tidy: { kind: cron, schedule: "@daily", port: 2 } }',
        "processes.tidy: a cron cannot have a port, because nothing calls it. Remove `port:`, or set `kind: web`.",
    ),
    ("port: http", "port: 'http' is not a whole number. Write digits without quotes."),
    ("public: maybe", "public: 'maybe' is neither true nor false. Write `true` or `false`."),
    (
        "needs: [{ manifest: mailpit.yaml }]",
        "needs.0.manifest: 'mailpit.yaml' is not a manifest in this folder."
        " Write `needs/NAME.yaml`. NAME may contain up to 40 lowercase letters, digits and `-`. It must start with a letter and must not end with `-`.",
    ),
]
PLATFORMS: list[tuple[str, str]] = [
    ("label: [preview]", "label: must be a string, not a list. Write `label: preview`."),
    ("label: ''", "label: is empty. Write a value, or remove the line."),
    ("repositories: { acme/web: shop }", "repositories.acme/web: 'acme/web' is not a valid short name."),
    ("lifetime: { inactiveAfter: false }", "lifetime.inactiveAfter: false is not a valid duration."),
    ("lifetime: { maxAge: { days: 3 } }", "lifetime.maxAge: is not a valid duration."),
    (
        "resync: false",
        "resync: false is not a valid duration. Write a number followed by d, h, m or s, such as `3d` or `12h`.",
    ),
    ("namePrefix: a-very-very-long-prefix", "namePrefix: is longer than 20 characters. Shorten it."),
    ("limits: [1]", "limits: must be a mapping, not a list. Write `key: value` lines, indented."),
    ("limits: 7", "limits: 7 is not a mapping. Write `key: value` lines, indented."),
    ("staging: { web: [] }", "staging.web: must be a mapping, not a list. Write `key: value` lines, indented."),
    ("bots: renovate[bot]", "bots: 'renovate[bot]' is not a list. Write it as `[\"renovate[bot]\"]`."),
    ("domain: https://preview.example.com", "domain: 'https://preview.example.com' is not a valid domain."),
    (
        "listen: { webhook: '8080' }",
        "listen.webhook: '8080' is not a valid address. Write host:port, such as 127.0.0.1:8080.",
    ),
    (
        "listen: { webhook: '0.0.0.0:8084' }",
        "listen.metrics: port 8084 is already used by `listen.webhook`. Choose another port.",
    ),
    (
        "listen: { admin: 'localhost:08081' }",
        "listen.admin: port 08081 is already used by `listen.plugin`. Choose another port.",
    ),
    (
        "listen: { webhook: '127.0.0.1:8000' }\nengine: local",
        "local.proxyPort: port 8000 is already used by `listen.webhook`. Choose another port.",
    ),
    (
        "lifetime: { keepLabel: Preview }",
        "lifetime.keepLabel: `Preview` is already the value of `label`, and a label can have only one meaning."
        " Choose another label, such as `preview-keep`.",
    ),
    (
        "label: preview-sleep",
        "lifetime.sleepLabel: `preview-sleep` is already the value of `label`, and a label can have only one meaning."
        " Choose another label, such as `preview-sleep-sleep`.",
    ),
    (
        "lifetime: { keepLabel: stay, sleepLabel: stay }",
        "lifetime.sleepLabel: `stay` is already the value of `lifetime.keepLabel`, and a label can have only one meaning."
        " Choose another label, such as `stay-sleep`.",
    ),
    (
        "staging: { web: 'http://web.staging.example.com:99999' }",
        "staging.web: 'http://web.staging.example.com:99999' has an invalid host or port. Ports range from 1 to 65535.",
    ),
    (
        "staging: { web: web.staging.example.com }",
        "staging.web: 'web.staging.example.com' is not a valid URL. Write the full URL: https://web.staging.example.com.",
    ),
    (
        "staging: { web: { url: 'https://web.example.com', public: 'ftp://x' } }",
        "staging.web.public: 'ftp://x' is not a valid URL. Write the full URL: https://service.staging.example.com.",
    ),
    (
        "github: { apiUrl: github.acme.example/api/v3 }",
        "github.apiUrl: 'github.acme.example/api/v3' is not a valid URL. Write the full URL: https://github.acme.example/api/v3.",
    ),
    (
        "github: { apiUrl: 'https://github.example.com/api/v3?x=1' }",
        "github.apiUrl: must contain only a host and a path. Write `https://HOST/api/v3`.",
    ),
    (
        "github: { apiUrl: 'http://[::1' }",
        "github.apiUrl: 'http://[::1' has an invalid host or port. Ports range from 1 to 65535.",
    ),
    (
        "ingress: { probe: 'http://traefik:99999' }",
        "ingress: probe: 'http://traefik:99999' is not valid. Write `public`, `none` or http://HOST.",
    ),
    (
        f"domain: {'a' * 64}.example.com",
        "domain: `aaaaaaaaaaaaaaaaaaaa…` is longer than 63 characters, the limit for each part of a domain. Shorten it.",
    ),
    (
        "domain: example.com-",
        "domain: 'example.com-' is not a valid domain. Write the bare domain, such as `preview.example.com`.",
    ),
    (
        "listen: { webhook: 'our host:80' }",
        "listen.webhook: 'our host:80' is not a valid address. Write host:port, such as 127.0.0.1:8080.",
    ),
    (
        "repositories: { web: acme/web, site: acme/web }",
        "repositories.site: acme/web already has the short name `web`. Remove one of the two.",
    ),
    (
        "registry: { credentials: { 'https://index.docker.io/v1/': { user: a, passwordFrom: { env: P } } } }",
        "registry.credentials.https://index.docker.io/v1/: is not a valid host."
        " Write the bare host, such as `ghcr.io` or `registry.example.com:5000`.",
    ),
    (
        "registry: { insecure: ['http://localhost:5000'] }",
        "registry.insecure.0: is not a valid host. Write the bare host, such as `ghcr.io` or `registry.example.com:5000`.",
    ),
    (
        "imagePullSecrets: [Regcred]",
        "imagePullSecrets.0: 'Regcred' is not a valid Secret name. Use lowercase letters, digits, `-` and `.`, starting and ending with a letter or digit.",
    ),
    *(
        (f"database: {url}", f"database: {' '.join(NO_HISTORY)}")
        for url in ("nonsense", "mysql://h/d", "postgresql://h/d", "sqlite+aiosqlite://", "postgresql+psycopg://h:x/d")
    ),
    ("resync: 9999999d", "resync: '9999999d' is longer than ten years. Write at most `3650d`."),
    (
        f"lifetime: {{ inactiveAfter: {'9' * 20}d }}",
        f"lifetime.inactiveAfter: '{'9' * 20}d' is longer than ten years. Write at most `3650d`, or `never`.",
    ),
    ("lifetime: { maxAge: }", "lifetime.maxAge: has no value. Write a value, or remove the line."),
    ("resync: 0s", "resync: must be at least one second. Write `1s` or more. `10m` works well for GitHub."),
    (
        "scheduling: { tolerations: [{ key: [a] }] }",
        "scheduling.tolerations.0.key: must be a string, not a list. Write `key: a`.",
    ),
    ("scheduling: { spot: no }", "scheduling.spot: no is not valid. Expected 'preferred', 'required' or 'never'."),
]
FIXES = {
    "domain: https://preview.example.com": "Write the bare domain, such as `preview.example.com`.",
    "repositories: { acme/web: shop }": "Swap the key and the value: `shop: acme/web`.",
    "lifetime: { inactiveAfter: false }": "Write a number followed by d, h, m or s, such as `3d`, or `never`.",
    "lifetime: { maxAge: { days: 3 } }": "Write a number followed by d, h, m or s, such as `3d`, or `never`.",
    "scheduling: { spot: no }": "Write 'preferred', 'required' or 'never'.",
}


@pytest.mark.parametrize(("text", "sentence"), SERVICES, ids=[s[0][:40] for s in SERVICES])
def test_what_is_wrong_with_a_service_is_reported_once(text: str, sentence: str, tmp_path: Path) -> None:
    assert about_service(tmp_path, text) == [sentence]


@pytest.mark.parametrize(("text", "sentence"), PLATFORMS, ids=[s[0][:40] for s in PLATFORMS])
def test_what_is_wrong_with_the_platform_is_reported_once(text: str, sentence: str, tmp_path: Path) -> None:
    assert about_platform(tmp_path, text) == [f"{sentence} {FIXES[text]}" if text in FIXES else sentence]


@pytest.mark.parametrize(
    "text",
    [
        "listen: { webhook: '127.0.0.1:0', metrics: '127.0.0.1:0' }",
        "listen: { webhook: '10.0.0.1:8080', metrics: '10.0.0.2:8080' }",
        "listen: { webhook: '127.0.0.1:8081' }\nengine: local",  # the plugin's port, where nobody asks for specs
        "label: review\nlifetime: { keepLabel: preview }",
        "staging: { web: 'http://[::1]:80/x?y=$(HOME)&b=$$' }",
        "github: { apiUrl: 'http://[::1]:80/api/v3' }",
        "listen: { webhook: '[::]:8090', metrics: 'greenroom.acme.internal:8091' }",
        "registry: { insecure: ['localhost:5000', '10.0.0.1'], realms: [auth.example.com] }",
        f"domain: {'a' * 63}.xn--p1ai",
        "lifetime: { inactiveAfter: 3650d, maxAge: never }",
        "database: postgresql+psycopg:///greenroom?host=/run/postgresql",
    ],
)
def test_what_is_right_is_let_through(text: str, tmp_path: Path) -> None:
    assert about_platform(tmp_path, text) == []


WEB = yaml.safe_dump(SERVICE)


@pytest.mark.parametrize(
    ("name", "meant"), [("Web App", "web-app"), ("my_web", "my-web"), ("2nd", "nd"), ("web-", "web"), ("123", "web")]
)
def test_a_file_whose_name_makes_no_service_wants_a_name(name: str, meant: str, tmp_path: Path) -> None:
    assert found(tmp_path, {name: WEB}) == [
        f"services/{name}.yaml: `{name}` is not a valid service name. Use lowercase letters, digits and `-`, starting with a letter."
        f" Add `name: {meant}`, or rename the file."
    ]


def test_with_a_name_the_file_may_be_called_as_it_likes(tmp_path: Path) -> None:
    assert found(tmp_path, {"My Web": f"name: web\n{WEB}"}) == []


def test_two_spellings_of_a_repository_are_one(tmp_path: Path) -> None:
    platform = f"{PLATFORM}repositories: {{ shop: acme/web }}"
    assert found(tmp_path, {"api": WEB, "web": WEB.replace(": acme/web", ": Acme/Web")}, platform) == [
        "services/web.yaml: repository: Acme/Web is spelled acme/web in services/api.yaml. Use the same spelling in both files."
    ]


@pytest.mark.parametrize(
    ("name", "fix"), [("paiments", "Did you mean `payments`?"), ("x", "Remove the line, or add services/NAME.yaml.")]
)
def test_staging_is_of_services_that_there_are(name: str, fix: str, tmp_path: Path) -> None:
    platform = f"{PLATFORM}staging: {{ {name}: 'https://x.example.com' }}"
    assert found(tmp_path, {"payments": WEB}, platform) == [
        f"greenroom.yaml: staging.{name}: the service `{name}` does not exist. {fix}"
    ]


def test_a_tag_that_is_not_yaml_must_be_quoted(tmp_path: Path) -> None:
    text = "repository: acme/web\nimage: { repository: registry.example.com/acme/web, tag: pr-{sha} }\nport: 1"
    [said] = found(tmp_path, {"web": text})
    assert said.endswith("""but got '{'. Quote the value that contains `{`, as in "pr-{sha}".""")


BOTH: list[tuple[str, str, dict[str, str], list[str]]] = [
    (
        "a wrong key beside what no service has",
        PLATFORM,
        {"web": f"{WEB}prt: 1\nuses: [{{ service: api, as: A }}]\nneeds: [{{ kind: redis, as: A }}]\n"},
        ["unknown key `prt`", "the service `api` does not exist", "the variable A is set 2 times"],
    ),
    (
        "no image beside an unknown need",
        PLATFORM,
        {"web": "repository: acme/web\nport: 80\nneeds: [carrier-pigeon]\n"},
        ["image: is missing", "`carrier-pigeon` is not a known kind of need"],
    ),
    (
        "port and processes beside an unknown need",
        PLATFORM,
        {"web": f"{WEB}processes: {{ web: {{ port: 1 }} }}\nneeds: [carrier-pigeon]\n"},
        ["has both `port:` and `processes:`", "`carrier-pigeon` is not a known kind of need"],
    ),
    (
        "a limit of none beside services",
        f"{PLATFORM}limits: {{ total: 0 }}\nlifetime: {{ keepLabel: preview }}\nstaging: {{ x: 'https://x.example.com' }}",
        {"web": f"{WEB}needs: [carrier-pigeon]"},
        [
            "0 is too small",
            "`preview` is already the value of `label`",
            "staging.x: the service",
            "`carrier-pigeon` is not a known kind",
        ],
    ),
    (
        "wrong addresses of staging say nothing of uses",
        f"{PLATFORM}staging: {{ api: nowhere }}",
        {"web": f"{WEB}uses: [{{ service: api, as: A }}]", "api": WEB.replace("acme/web", "acme/api")},
        ["staging.api: 'nowhere' is not a valid URL"],
    ),
    (
        "wrong short names say nothing of repositories",
        f"{PLATFORM}repositories: {{ other/web: web }}",
        {"web": WEB, "api": WEB.replace("acme/web", "other/web")},
        ["Swap the key and the value: `web: other/web`"],
    ),
    (
        "no greenroom.yaml to read",
        "installation: [",
        {
            "web": f"{WEB}uses: [{{ service: api, as: A }}]\nneeds: [carrier-pigeon]",
            "api": WEB.replace("acme/web", "acme/api"),
        },
        ["is not valid YAML", "`carrier-pigeon` is not a known kind of need"],
    ),
    (
        "a service that cannot be read says nothing of its repository, its staging and its needs",
        f"{PLATFORM}repositories: {{ gone: acme/api }}\nstaging: {{ api: 'https://api.example.com' }}",
        {
            "web": f"{WEB}uses: [{{ service: api, as: A }}]\nneeds: [{{ of: api, name: cache, as: B }}]",
            "backend": "name: api\nrepository: api\nport: 80",
        },
        ["repository: 'api' is not a valid repository", "image: is missing"],
    ),
    (
        "a wrong repository beside the rest of the file",
        f"{PLATFORM}repositories: {{ gone: acme/gone }}",
        {
            "web": "repository: web\nimage: r.example.com/web\nport: 80\n"
            "needs: [carrier-pigeon, { of: api, name: redis, as: B }]\nuses: [{ service: api, as: A }, { service: x, as: X }]",
            "api": f"{WEB}needs: [redis]",
        },
        [
            "repository: 'web' is not a valid repository",
            "`carrier-pigeon` is not a known kind of need",
            "the service `x` does not exist",
        ],
    ),
    (
        "what is wrong in a service is not missed by another",
        PLATFORM,
        {"web": f"{WEB}needs: [{{ of: api, name: cache, as: B }}]", "api": f"{WEB}needs: [redis, {{ kind: [x] }}]"},
        ["needs.1.kind: must be a string, not a list"],
    ),
    (
        "a wrong name is no wrong file name",
        PLATFORM,
        {"My Web": f"name: My_Web\n{WEB}needs: [carrier-pigeon]"},
        ["name: 'My_Web' is not a valid name", "`carrier-pigeon` is not a known kind of need"],
    ),
    (
        "an unknown engine says nothing of seeds and charts",
        "installation: demo\ndomain: preview.example.com\nengine: argo",
        {"web": f"{WEB}needs: [{{ kind: postgresql, seed: seed.sql }}]"},
        ["'argo' is not valid. Expected"],
    ),
]


@pytest.mark.parametrize(("platform", "services", "words"), [b[1:] for b in BOTH], ids=[b[0] for b in BOTH])
def test_a_mistake_hides_no_other_and_invents_none(
    platform: str, services: dict[str, str], words: list[str], tmp_path: Path
) -> None:
    said = found(tmp_path, services, platform)
    assert len(said) == len(words), said
    for part in words:
        assert sum(part in line for line in said) == 1, said


def patterns(schema: Any) -> set[str]:
    if isinstance(schema, dict):
        own = {schema["pattern"]} if isinstance(schema.get("pattern"), str) else set()
        return own.union(schema.get("patternProperties", ()), *map(patterns, schema.values()))
    return set().union(*map(patterns, schema)) if isinstance(schema, list) else set()


def test_nobody_has_to_read_a_regular_expression() -> None:
    known = set().union(*map(patterns, config.json_schema().values()))
    assert len(known) > 5
    for pattern in known:
        for given in ("", "a", "A_b", "1 - 2", "../x", "https://github.com/a/b"):
            what, fix = in_words(pattern, given)
            assert not re.search(r"[\^$\\]|\[a-z", what + fix)
            assert what != "not valid here", pattern

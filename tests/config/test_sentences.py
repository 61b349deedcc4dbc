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
        'image.tag: YAML reads `{sha}` as a mapping. Quote it: `tag: "{sha}"`.',
    ),
    (
        "image: { repository: registry.example.com/acme/web, tag: 'größe-{sha}' }",
        "image.tag: 'größe-{sha}' makes no valid tag. Use the letters a to z, digits, `_`, `.` and `-` around the fields,"
        " and begin with none of the last two.",
    ),
    (
        "image: { repository: registry.example.com/acme/web, tag: '-{sha}' }",
        "image.tag: '-{sha}' makes no valid tag. Use the letters a to z, digits, `_`, `.` and `-` around the fields,"
        " and begin with none of the last two.",
    ),
    (
        f"image: {{ repository: registry.example.com/acme/web, tag: '{'x' * 88}-{{sha}}' }}",
        "image.tag: makes tags of more than 128 characters. Shorten it.",
    ),
    *(
        (
            f"image: {{ repository: registry.example.com/acme/web, tag: '{tag}' }}",
            f"image.tag: '{tag}' has a brace that is alone. Write fields whole, such as `pr-{{sha}}`.",
        )
        for tag in ("{", "{sha}{", "{{sha}}")
    ),
    (
        "seed: seed/shop.sql",
        "seed: `seed` is reserved for a later release (seeds of several needs at once)."
        " Write it at the need: `needs: [{ kind: postgresql, seed: seed/shop.sql }]`.",
    ),
    (
        "processes: { web: { port: 80, commnd: x } }",
        "processes.web.commnd: unknown key `commnd`. Did you mean `command`?",
    ),
    (
        "migrate: x\nmigrateTimeout: 99999999999999d",
        "migrateTimeout: '99999999999999d' is longer than ten years. Write at most `3650d`, or `never`.",
    ),
    ("migrate: x\nmigrateTimeout:", "migrateTimeout: has no value. Write one, or remove the line."),
    ("runAsUser: 0", "runAsUser: 0 is too small. Write 1 or more."),
    ("runAsUser: node", "runAsUser: 'node' is no whole number. Write digits without quotes."),
    ("env:\n  DEBUG:", 'env.DEBUG: has no value. Write `DEBUG: ""`.'),
    ("env:", "env: has no value. Write one, or remove the line."),
    ("resources: { cpu: }", "resources.cpu: has no value. Write one, or remove the line."),
    ("migrate:", "migrate: has no value. Write one, or remove the line."),
    ("env: { ON: true }", 'env.ON: YAML reads `ON` and `true` as yes. Write `"ON": "true"`.'),
    ("env: { off: yes }", 'env.off: YAML reads `off` as no and `yes` as yes. Write `"off": "yes"`.'),
    ('env: { ON: "1" }', 'env.ON: YAML reads `ON` as yes. Write `"ON":`.'),
    ('env: { NULL: "1" }', 'env.NULL: YAML reads `NULL` as nothing. Write `"NULL":`.'),
    ('env: { 2024-01-01: "1" }', 'env.2024-01-01: YAML reads `2024-01-01` as a date. Write `"2024-01-01":`.'),
    ("env: { DEBUG: yes }", 'env.DEBUG: yes is no text. Quote it: "yes".'),
    ("env: { VERSION: 1.10 }", 'env.VERSION: 1.10 is no text. Quote it: "1.10".'),
    ("env: { MODE: 0755 }", 'env.MODE: 0755 is no text. Quote it: "0755".'),
    ("env: { SINCE: 2026-01-31 }", 'env.SINCE: 2026-01-31 is no text. Quote it: "2026-01-31".'),
    ("env: { PASSWORD: 12345678 }", "env.PASSWORD: is no text. Put it in quotes."),
    ("env: { HOSTS: [a, b] }", 'env.HOSTS: is a list. Write `HOSTS: "..."`.'),
    ("env: [{ name: DEBUG, value: '1' }]", 'env: is a list. Write `env: { DEBUG: "1" }`.'),
    ("env: [DEBUG=1]", 'env: is a list. Write `env: { DEBUG: "1" }`.'),
    ("env: [{ name: API_TOKEN, value: hunter2 }]", 'env: is a list. Write `env: { DEBUG: "1" }`.'),
    (
        "env: { DB: { valueFrom: { secretKeyRef: { name: shop, key: url } } } }",
        "env.DB: is a mapping. Write the Secret's name: `envFrom: [shop]`.",
    ),
    (
        "envFrom: [{ secretRef: { name: shop } }]",
        "envFrom.0: is a mapping. Write the Secret's name: `envFrom: [shop]`.",
    ),
    ("envFrom: shop", "envFrom: 'shop' is no list. Write it as `[shop]`."),
    ("envFrom: [Shop]", "envFrom.0: 'Shop' is no name of a Secret. Use lower-case letters, digits, `-` and `.`."),
    ("repository: web", "repository: 'web' is no repository. Write `owner/name`."),
    ("repository: CHANGE-ME", "repository: 'CHANGE-ME' is no repository. Write `owner/name`."),
    (
        "repository: https://github.com/acme/web",
        "repository: 'https://github.com/acme/web' is no repository. Write `acme/web`.",
    ),
    (
        "repository: git@github.com:acme/web.git",
        "repository: 'git@github.com:acme/web.git' is no repository. Write `acme/web`.",
    ),
    ("name: My_Web", "name: 'My_Web' is no name. Write `my-web`: lower-case letters, digits and `-`, a letter first."),
    (
        "processes: { Web: { port: 1 } }",
        "processes.Web: 'Web' is no name. Write `web`: lower-case letters, digits and `-`, a letter first.",
    ),
    ("uses: [api]", "uses.0: 'api' names no variable. Write `{ service: api, as: API_URL }`."),
    ("uses: { api: API_URL }", "uses: is a mapping. Write `uses: [{ service: api, as: API_URL }]`."),
    (
        "uses: [{ service: web-api, as: web-api }]",
        "uses.0.as: 'web-api' is no name of a variable. Write `WEB_API`: letters, digits and `_`, no digit first.",
    ),
    (
        "env: { 1A: '1' }",
        "env.1A: '1A' is no name of a variable. Use letters, digits and `_`, no digit first.",
    ),
    (
        "probe: /healthz",
        "probe: belongs to a process. Write `processes: { web: { port: 8080, probe: /healthz } }` in place of `port:`.",
    ),
    (
        "replicas: 2",
        "replicas: belongs to a process. Write `processes: { web: { port: 8080, replicas: 2 } }` in place of `port:`.",
    ),
    (
        "command: [python, -m, web]\nprocesses: { web: { port: 1 } }",
        "command: belongs to a process."
        ' Write it below one of `processes:`, such as `web: { command: [python, "-m", web] }`.',
    ),
    (
        "probe: /healthz\nreplicas: 2\ncommand: npm start",
        "probe: `probe`, `replicas` and `command` belong to a process. Write `processes: { web: { port: 8080,"
        ' probe: /healthz, replicas: 2, command: "npm start" } }` in place of `port:`.',
    ),
    (
        "resources: { requests: { cpu: 100m }, limits: { memory: 512Mi, cpu: 1 } }",
        "resources: is in Kubernetes' own shape. Write `resources: { cpu: 100m, memoryLimit: 512Mi }`.",
    ),
    (
        "resources: { limits: 512Mi }",
        "resources: is in Kubernetes' own shape. Write `resources: { cpu: 100m, memoryLimit: 512Mi }`.",
    ),
    (
        "port: 8080\nprocesses: { web: {} }",
        "has both `port:` and `processes:`. Remove `port:`, and give `processes.web` the port.",
    ),
    ("processes: {}", "has neither `port:` (one web process) nor `processes:`. Write one of the two."),
    (
        "image: registry.example.com/Acme/Web",
        "image: 'registry.example.com/Acme/Web' has upper case in it; image names are lower case."
        " Write `registry.example.com/acme/web`.",
    ),
    (
        "image: registry.example.com/acme/web:latest",
        "image: 'registry.example.com/acme/web:latest' names a tag; `tag:` says how CI tags it. Leave `:latest` out.",
    ),
    (
        "image: { repository: registry.example.com:5000/web@sha256:0 }",
        "image.repository: 'registry.example.com:5000/web@sha256:0' names a tag; `tag:` says how CI tags it."
        " Leave `@sha256:0` out.",
    ),
    (
        "image: ghcr.io/Acme/Web:latest",
        "image: 'ghcr.io/Acme/Web:latest' names a tag; `tag:` says how CI tags it."
        " Write `ghcr.io/acme/web`, in lower case.",
    ),
    (
        "image: web:1",
        "image: 'web:1' names no registry. Write its host first: `registry.example.com/web`.",
    ),
    (
        "image: CHANGE-ME",
        "image: 'CHANGE-ME' names no registry. Write its host first: `registry.example.com/shop/catalog`.",
    ),
    (
        "image: registry.example.com:99999/web",
        "image: 'registry.example.com:99999/web' has a port that cannot be. Ports are 1 to 65535.",
    ),
    ("image: [a]", "image: is a list. Write `key: value` lines, indented."),
    ('migrate: "sh -c \'foo"', 'migrate: a quote is not closed. Write a list, such as `[sh, -c, "..."]`.'),
    ("migrate: [sleep, 5]", "migrate: 5 in it is no text. Put it in quotes."),
    (
        "processes: { web: { port: 1, probe: healthz } }",
        "processes.web.probe: 'healthz' is no path. Begin it with `/`: `/healthz`.",
    ),
    (
        "processes: { web: { port: 1 }, jobs: { kind: worker, port: 2 } }",
        "processes.jobs: a worker has no port, for nobody asks it. Remove `port:`, or set `kind: web`.",
    ),
    (
        'processes: { web: { port: 1 }, tidy: { kind: cron, schedule: "@daily", port: 2 } }',
        "processes.tidy: a cron has no port, for nobody asks it. Remove `port:`, or set `kind: web`.",
    ),
    ("port: http", "port: 'http' is no whole number. Write digits without quotes."),
    ("public: maybe", "public: 'maybe' is neither true nor false. Write `true` or `false`."),
    (
        "needs: [{ manifest: mailpit.yaml }]",
        "needs.0.manifest: 'mailpit.yaml' is no manifest of this folder."
        " Write `needs/NAME.yaml`, a name of lower-case letters.",
    ),
]
PLATFORMS: list[tuple[str, str]] = [
    ("label: [preview]", "label: is a list. Write `label: preview`."),
    ("label: ''", "label: is empty. Write one, or remove the line."),
    ("repositories: { acme/web: shop }", "repositories.acme/web: 'acme/web' is no short name."),
    ("lifetime: { inactiveAfter: false }", "lifetime.inactiveAfter: false is no duration."),
    ("lifetime: { maxAge: { days: 3 } }", "lifetime.maxAge: is no duration."),
    ("resync: false", "resync: false is no duration. Write a number and d, h, m or s, such as `3d` or `12h`."),
    ("namePrefix: a-very-very-long-prefix", "namePrefix: is longer than 20 characters. Shorten it."),
    ("limits: [1]", "limits: is a list. Write `key: value` lines, indented."),
    ("limits: 7", "limits: 7 is no mapping. Write `key: value` lines, indented."),
    ("staging: { web: [] }", "staging.web: is a list. Write `key: value` lines, indented."),
    ("bots: renovate[bot]", "bots: 'renovate[bot]' is no list. Write it as `[\"renovate[bot]\"]`."),
    ("domain: https://preview.example.com", "domain: 'https://preview.example.com' is no domain."),
    (
        "listen: { webhook: '8080' }",
        "listen.webhook: '8080' is no address. Write host:port, such as 127.0.0.1:8080.",
    ),
    (
        "listen: { webhook: '0.0.0.0:8084' }",
        "listen.metrics: port 8084 is that of `listen.webhook`. Give it another port.",
    ),
    (
        "listen: { admin: 'localhost:08081' }",
        "listen.admin: port 08081 is that of `listen.plugin`. Give it another port.",
    ),
    (
        "listen: { webhook: '127.0.0.1:8000' }\nengine: local",
        "local.proxyPort: port 8000 is that of `listen.webhook`. Give it another port.",
    ),
    (
        "lifetime: { keepLabel: Preview }",
        "lifetime.keepLabel: `Preview` is what `label` says too, and one label has one meaning."
        " Write another one, such as `preview-keep`.",
    ),
    (
        "label: preview-sleep",
        "lifetime.sleepLabel: `preview-sleep` is what `label` says too, and one label has one meaning."
        " Write another one, such as `preview-sleep-sleep`.",
    ),
    (
        "lifetime: { keepLabel: stay, sleepLabel: stay }",
        "lifetime.sleepLabel: `stay` is what `lifetime.keepLabel` says too, and one label has one meaning."
        " Write another one, such as `stay-sleep`.",
    ),
    (
        "staging: { web: 'http://web.staging.example.com:99999' }",
        "staging.web: 'http://web.staging.example.com:99999' has a host or port that cannot be. Ports are 1 to 65535.",
    ),
    (
        "staging: { web: web.staging.example.com }",
        "staging.web: 'web.staging.example.com' is no URL. Write it whole: https://web.staging.example.com.",
    ),
    (
        "staging: { web: { url: 'https://web.example.com', public: 'ftp://x' } }",
        "staging.web.public: 'ftp://x' is no URL. Write it whole: https://service.staging.example.com.",
    ),
    (
        "github: { apiUrl: github.acme.example/api/v3 }",
        "github.apiUrl: 'github.acme.example/api/v3' is no URL. Write it whole: https://github.acme.example/api/v3.",
    ),
    (
        "github: { apiUrl: 'https://github.example.com/api/v3?x=1' }",
        "github.apiUrl: holds more than a host and a path. Write `https://HOST/api/v3`.",
    ),
    (
        "github: { apiUrl: 'http://[::1' }",
        "github.apiUrl: 'http://[::1' has a host or port that cannot be. Ports are 1 to 65535.",
    ),
    (
        "ingress: { probe: 'http://traefik:99999' }",
        "ingress: probe: 'http://traefik:99999' is neither `public`, `none` nor http://HOST.",
    ),
    (
        f"domain: {'a' * 64}.example.com",
        "domain: `aaaaaaaaaaaaaaaaaaaa…` is longer than the 63 characters between two dots. Shorten it.",
    ),
    (
        "domain: example.com-",
        "domain: 'example.com-' is no domain. Write it bare, such as `preview.example.com`.",
    ),
    (
        "listen: { webhook: 'our host:80' }",
        "listen.webhook: 'our host:80' is no address. Write host:port, such as 127.0.0.1:8080.",
    ),
    (
        "repositories: { web: acme/web, site: acme/web }",
        "repositories.site: acme/web has the short name `web` already. Remove one of the two.",
    ),
    (
        "registry: { credentials: { 'https://index.docker.io/v1/': { user: a, passwordFrom: { env: P } } } }",
        "registry.credentials.https://index.docker.io/v1/: is no host."
        " Write it bare, such as `ghcr.io` or `registry.example.com:5000`.",
    ),
    (
        "registry: { insecure: ['http://localhost:5000'] }",
        "registry.insecure.0: is no host. Write it bare, such as `ghcr.io` or `registry.example.com:5000`.",
    ),
    (
        "imagePullSecrets: [Regcred]",
        "imagePullSecrets.0: 'Regcred' is no name of a Secret. Use lower-case letters, digits, `-` and `.`.",
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
    ("lifetime: { maxAge: }", "lifetime.maxAge: has no value. Write one, or remove the line."),
    ("resync: 0s", "resync: shorter than a second. Write at least `1s`; `10m` suits GitHub."),
    (
        "scheduling: { tolerations: [{ key: [a] }] }",
        "scheduling.tolerations.0.key: is a list. Write `key: a`.",
    ),
    ("scheduling: { spot: no }", "scheduling.spot: no is none of 'preferred', 'required' or 'never'."),
]
FIXES = {
    "domain: https://preview.example.com": "Write it bare, such as `preview.example.com`.",
    "repositories: { acme/web: shop }": "Write it the other way round: `shop: acme/web`.",
    "lifetime: { inactiveAfter: false }": "Write a number and d, h, m or s, such as `3d`, or `never`.",
    "lifetime: { maxAge: { days: 3 } }": "Write a number and d, h, m or s, such as `3d`, or `never`.",
    "scheduling: { spot: no }": "Write 'preferred', 'required' or 'never'.",
}


@pytest.mark.parametrize(("text", "sentence"), SERVICES, ids=[s[0][:40] for s in SERVICES])
def test_what_is_wrong_with_a_service_is_said_once(text: str, sentence: str, tmp_path: Path) -> None:
    assert about_service(tmp_path, text) == [sentence]


@pytest.mark.parametrize(("text", "sentence"), PLATFORMS, ids=[s[0][:40] for s in PLATFORMS])
def test_what_is_wrong_with_the_platform_is_said_once(text: str, sentence: str, tmp_path: Path) -> None:
    assert about_platform(tmp_path, text) == [f"{sentence} {FIXES[text]}" if text in FIXES else sentence]


@pytest.mark.parametrize(
    "text",
    [
        "listen: { webhook: '127.0.0.1:0', metrics: '127.0.0.1:0' }",
        "listen: { webhook: '10.0.0.1:8080', metrics: '10.0.0.2:8080' }",
        "listen: { webhook: '127.0.0.1:8081' }\nengine: local",  # the plugin's port, where nobody asks for rows
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
        f"services/{name}.yaml: `{name}` is no name of a service: lower-case letters, digits and `-`, a letter first."
        f" Add `name: {meant}`, or rename the file."
    ]


def test_with_a_name_the_file_may_be_called_as_it_likes(tmp_path: Path) -> None:
    assert found(tmp_path, {"My Web": f"name: web\n{WEB}"}) == []


def test_two_spellings_of_a_repository_are_one(tmp_path: Path) -> None:
    platform = f"{PLATFORM}repositories: {{ shop: acme/web }}"
    assert found(tmp_path, {"api": WEB, "web": WEB.replace(": acme/web", ": Acme/Web")}, platform) == [
        "services/web.yaml: repository: Acme/Web is acme/web in services/api.yaml. Write it the same way in both."
    ]


@pytest.mark.parametrize(
    ("name", "fix"), [("paiments", "Did you mean `payments`?"), ("x", "Remove the line, or add services/NAME.yaml.")]
)
def test_staging_is_of_services_that_there_are(name: str, fix: str, tmp_path: Path) -> None:
    platform = f"{PLATFORM}staging: {{ {name}: 'https://x.example.com' }}"
    assert found(tmp_path, {"payments": WEB}, platform) == [
        f"greenroom.yaml: staging.{name}: there is no service `{name}`. {fix}"
    ]


def test_a_tag_that_is_no_yaml_is_told_to_be_quoted(tmp_path: Path) -> None:
    text = "repository: acme/web\nimage: { repository: registry.example.com/acme/web, tag: pr-{sha} }\nport: 1"
    [said] = found(tmp_path, {"web": text})
    assert said.endswith("""but got '{'. Put the text with `{` in quotes, such as "pr-{sha}".""")


BOTH: list[tuple[str, str, dict[str, str], list[str]]] = [
    (
        "a wrong key beside what no service has",
        PLATFORM,
        {"web": f"{WEB}prt: 1\nuses: [{{ service: api, as: A }}]\nneeds: [{{ kind: redis, as: A }}]\n"},
        ["unknown key `prt`", "there is no service `api`", "the variable A is set 2 times"],
    ),
    (
        "no image beside an unknown need",
        PLATFORM,
        {"web": "repository: acme/web\nport: 80\nneeds: [mongodb]\n"},
        ["image: is missing", "no need of the kind `mongodb`"],
    ),
    (
        "port and processes beside an unknown need",
        PLATFORM,
        {"web": f"{WEB}processes: {{ web: {{ port: 1 }} }}\nneeds: [mongodb]\n"},
        ["has both `port:` and `processes:`", "no need of the kind `mongodb`"],
    ),
    (
        "a limit of none beside services",
        f"{PLATFORM}limits: {{ total: 0 }}\nlifetime: {{ keepLabel: preview }}\nstaging: {{ x: 'https://x.example.com' }}",
        {"web": f"{WEB}needs: [mongodb]"},
        ["0 is too small", "`preview` is what `label` says too", "staging.x: there is no", "kind `mongodb`"],
    ),
    (
        "wrong addresses of staging say nothing of uses",
        f"{PLATFORM}staging: {{ api: nowhere }}",
        {"web": f"{WEB}uses: [{{ service: api, as: A }}]", "api": WEB.replace("acme/web", "acme/api")},
        ["staging.api: 'nowhere' is no URL"],
    ),
    (
        "wrong short names say nothing of repositories",
        f"{PLATFORM}repositories: {{ other/web: web }}",
        {"web": WEB, "api": WEB.replace("acme/web", "other/web")},
        ["Write it the other way round: `web: other/web`"],
    ),
    (
        "no greenroom.yaml to read",
        "installation: [",
        {
            "web": f"{WEB}uses: [{{ service: api, as: A }}]\nneeds: [mongodb]",
            "api": WEB.replace("acme/web", "acme/api"),
        },
        ["is no YAML", "no need of the kind `mongodb`"],
    ),
    (
        "a service that cannot be read says nothing of its repository, its staging and its needs",
        f"{PLATFORM}repositories: {{ gone: acme/api }}\nstaging: {{ api: 'https://api.example.com' }}",
        {
            "web": f"{WEB}uses: [{{ service: api, as: A }}]\nneeds: [{{ of: api, name: cache, as: B }}]",
            "backend": "name: api\nrepository: api\nport: 80",
        },
        ["repository: 'api' is no repository", "image: is missing"],
    ),
    (
        "a wrong repository beside the rest of the file",
        f"{PLATFORM}repositories: {{ gone: acme/gone }}",
        {
            "web": "repository: web\nimage: r.example.com/web\nport: 80\n"
            "needs: [mongodb, { of: api, name: redis, as: B }]\nuses: [{ service: api, as: A }, { service: x, as: X }]",
            "api": f"{WEB}needs: [redis]",
        },
        ["repository: 'web' is no repository", "no need of the kind `mongodb`", "there is no service `x`"],
    ),
    (
        "what is wrong in a service is not missed by another",
        PLATFORM,
        {"web": f"{WEB}needs: [{{ of: api, name: cache, as: B }}]", "api": f"{WEB}needs: [redis, {{ kind: [x] }}]"},
        ["needs.1.kind: is a list"],
    ),
    (
        "a wrong name is no wrong file name",
        PLATFORM,
        {"My Web": f"name: My_Web\n{WEB}needs: [mongodb]"},
        ["name: 'My_Web' is no name", "no need of the kind `mongodb`"],
    ),
    (
        "an unknown engine says nothing of seeds and charts",
        "installation: demo\ndomain: preview.example.com\nengine: argo",
        {"web": f"{WEB}needs: [{{ kind: postgresql, seed: seed.sql }}]"},
        ["'argo' is none of"],
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

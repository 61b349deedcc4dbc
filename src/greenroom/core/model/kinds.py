"""The kinds of needs. To add a kind, see "Add a kind of need" in docs/architecture.md.

This table determines the preview chart's kinds.yaml, the JSON Schema and docs/needs.md. It also determines what
`greenroom check` accepts, what `greenroom import` recognizes, and what the local engine starts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from greenroom.core.migration_report.server_log import SETTINGS


class Restart(StrEnum):
    """Effect of a need that starts without its data.

    `data-reset`: services restart and migrate. `nothing`: a cache may be empty at any time.
    """

    DATA_RESET = "data-reset"
    NOTHING = "nothing"


class LocalServer(StrEnum):
    """Server that the local engine uses for a kind: the shared PostgreSQL, or one Redis for each need."""

    POSTGRESQL = "postgresql"
    REDIS = "redis"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Settings of the preview chart for a kind: its entry in kinds.yaml. Empty values are omitted there.

    image     the stock image, without its tag; `settings.images` may replace it
    port      where it listens
    user      user ID: runAsNonRoot needs a number, and images that start as root switch to it
    memory    memory limit
    scheme    scheme of its URL, scheme://login:password@host:port/database; empty where clients expect host:port alone
    login     the user that its image creates
    database  the database or virtual host that its image creates, or a number
    password  the container's variables that hold the password. The check reads them too; they are never on a command
              line. A kind without a password has no login, no database and no Secret
    check     shell, run in the need's own image, which must have one: succeeds if the server at $1 answers a query; an
              open port is not enough
    every     seconds between two checks of a running pod
    env       settings of the image, even of one with its own data
    stock     settings of the stock image only: a custom image knows where its data is
    start     shell that replaces the image's command; $1 is the storage
    seeded    shell that starts an image with a seed in a layer. $1 is the mode: `layer` uses the data there, and `copy`
              copies it to the volume at `copied` first, once for each number of resets ($2). It sets the password
              before the server listens
    copied    where the volume is mounted for `copy`
    data      where the stock image's data is mounted; empty if it stores nothing on disk
    below     a folder inside the volume, for servers that reject `lost+found` in their data
    report    settings of a seeded server, with which its log says what a migration did. They are arguments of its
              image, and follow those of `seeded`. A kind without them has no migration report
    shared    shared memory (the default of a container is 64 MiB)
    restart   see `Restart`
    """

    image: str
    port: int
    memory: str
    check: str
    restart: Restart
    user: int = 999
    scheme: str = ""
    login: str = ""
    database: str = ""
    password: tuple[str, ...] = ()
    every: int = 1
    env: Mapping[str, str] = field(default_factory=dict)
    stock: Mapping[str, str] = field(default_factory=dict)
    start: str = ""
    seeded: str = ""
    copied: str = ""
    data: str = ""
    below: str = ""
    report: Mapping[str, str] = field(default_factory=dict)
    shared: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of need: its names, the tags of its stock image that are offered, and how it runs.

    `variable` receives its address if a service does not name a variable; it is Heroku's name if there is one.
    `aliases` are other names that people write, and `schemes` are other URL schemes that its clients accept. `addons`
    are Heroku's add-ons, each with the variable that it sets. `answers` and `tried` are for docs/needs.md: what the
    check asks, and whether the kind ever ran on the test cluster. `local` is what the local engine runs for it, or
    None. `programs` are the local programs that can serve it, best first. `restores` means that its stock image can
    restore the dump of a seed when it first starts. `extensions` means that a seed may name extensions.
    """

    title: str
    versions: tuple[str, ...]
    default: str
    variable: str
    chart: Chart
    answers: str
    tried: str = "only rendered"
    aliases: tuple[str, ...] = ()
    schemes: tuple[str, ...] = ()
    addons: Mapping[str, str] = field(default_factory=dict)
    local: LocalServer | None = None
    programs: tuple[str, ...] = ()
    restores: bool = False
    extensions: bool = False

    @property
    def parts(self) -> tuple[str, ...]:
        """Return the parts of its address that a service can use."""
        return ("url", "host", "port", *(("user", "password", "database") if self.chart.password else ()))

    @property
    def cache(self) -> bool:
        """Return whether it may be empty at any time."""
        return self.chart.restart is Restart.NOTHING


# MYSQL_PWD is set in the check only, because the image's startup script would use it as root's password.
_MYSQL_CHECK = 'MYSQL_PWD="$%s" %s --connect-timeout=2 -h "$1" -u app -D app -e "SELECT 1" >/dev/null'
# The image's entrypoint loads the modules of Redis 8. The password comes from stdin, so `ps` does not show it.
_REDIS_START = r"""exec $(command -v docker-entrypoint.sh) %(server)s - --dir /data --save '' \
  --appendonly "$([ "$1" = persistent ] && echo yes || echo no)" <<END
requirepass "$(printf %%s "$%(password)s" | sed 's/[\\"]/\\&/g')"
END
"""
_SEEDED = """set -eu
mode=$1 resets=$2
shift 2
"""
# A restored backup may hold fewer resets than the volume has seen. Its newer data is kept, and no reset is undone.
# The copy is renamed once it is complete, so that a start that was interrupted does not serve half of it.
_COPIED = r"""if [ "$mode" = copy ]; then
  newest=$(cd /var/lib/greenroom && ls | sed -n 's/^%(name)s-\([0-9][0-9]*\)$/\1/p' | sort -n | tail -n 1)
  [ "${newest:-0}" -gt "$resets" ] || newest=$resets
  copy=/var/lib/greenroom/%(name)s-$newest
  if [ ! -s "$copy/%(file)s" ]; then
    rm -rf /var/lib/greenroom/%(name)s-*
    cp -a --reflink=auto "$%(data)s" "$copy.new"
    mv "$copy.new" "$copy"
  fi
  export %(data)s="$copy"
fi
"""
# Single-user mode takes the password from stdin, before the server listens
# (https://www.postgresql.org/docs/current/app-postgres.html).
_POSTGRESQL_SEEDED = (
    _SEEDED
    + _COPIED % {"name": "pgdata", "file": "PG_VERSION", "data": "PGDATA"}
    + r"""printf "ALTER ROLE app PASSWORD '%s'
" "$(printf %s "$POSTGRES_PASSWORD" | sed "s/'/''/g")" |
  postgres --single -D "$PGDATA" postgres >/dev/null
sockets=/var/run/postgresql
[ -w "$sockets" ] || sockets=/tmp
exec postgres -D "$PGDATA" -c unix_socket_directories="$sockets" "$@"
"""
)
# The server runs the init file before it accepts connections.
# https://dev.mysql.com/doc/refman/8.4/en/server-system-variables.html#sysvar_init_file
_MYSQL_START = r"""password=$(printf %%s "$%(password)s" | sed -e 's/\\/\\\\/g' -e "s/'/''/g")
umask 077
printf "ALTER USER 'app'@'%%%%' IDENTIFIED BY '%%s' ACCOUNT UNLOCK;\n" "$password" >/tmp/greenroom-init.sql
exec %(server)s --datadir="$data" --init-file=/tmp/greenroom-init.sql --socket=/tmp/mysqld.sock \
  --pid-file=/tmp/mysqld.pid --bind-address='*' --skip-log-bin --innodb-log-file-size=16M --loose-mysqlx=OFF "$@"
"""


def _mysql_seeded(server: str, password: str) -> str:
    copied = _COPIED % {"name": "mysql", "file": "ibdata1", "data": "data"}
    start = _MYSQL_START % {"server": server, "password": password}
    return f"{_SEEDED}data=/var/lib/preview/mysql\n{copied}{start}"


# RabbitMQ opens its port once it has started, and answers the AMQP 0-9-1 header with Connection.Start (class 10, method
# 10). `rabbitmq-diagnostics` starts an Erlang VM for each call, which costs a second of CPU, and does not work from
# another pod.
_AMQP_CHECK = (
    r"""timeout 2 bash -c 'exec 3<>"/dev/tcp/$1/5672" && printf "AMQP\0\0\11\1" >&3 && head -c 11 <&3' check "$1" """
    '| od -An -tx1 |\n  grep -q "00 0a 00 0a"'
)
# Half of the container's memory; the rest is for connections and internal tables. Memcached's default is 64 (MiB).
_MEMCACHED_START = """limit=$(cat /sys/fs/cgroup/memory.max 2>/dev/null)
case "$limit" in '' | *[!0-9]*) limit=0 ;; esac
half=$((limit / 2097152))
exec memcached -m "$([ "$half" -gt 64 ] && echo "$half" || echo 64)"
"""

KINDS: Mapping[str, Kind] = {
    "postgresql": Kind(
        title="PostgreSQL",
        versions=("14", "15", "16", "17", "18"),
        default="16",
        variable="DATABASE_URL",
        aliases=("postgres", "pg"),
        schemes=("postgres",),
        addons={"heroku-postgresql": "DATABASE_URL"},
        answers="`SELECT 1` as `app`",
        tried="yes, Debian's 15",
        local=LocalServer.POSTGRESQL,
        programs=("postgres",),
        restores=True,
        extensions=True,
        chart=Chart(
            image="docker.io/library/postgres",
            port=5432,
            memory="1Gi",
            scheme="postgresql",
            login="app",
            database="app",
            password=("POSTGRES_PASSWORD",),
            check='PGPASSWORD="$POSTGRES_PASSWORD" PGCONNECT_TIMEOUT=2 psql -XqAt -h "$1" -U app -d app -c "SELECT 1" '
            ">/dev/null",
            env={"POSTGRES_USER": "app", "POSTGRES_DB": "app"},
            # Outside of /var/lib/postgresql, where version 18 uses another folder than 14 to 17.
            stock={"PGDATA": "/var/lib/preview/pgdata"},
            seeded=_POSTGRESQL_SEEDED,
            copied="/var/lib/greenroom",
            data="/var/lib/preview",
            report=dict(SETTINGS),
            shared="256Mi",
            restart=Restart.DATA_RESET,
        ),
    ),
    "mysql": Kind(
        title="MySQL",
        versions=("8.0", "8.4"),
        default="8.4",
        variable="DATABASE_URL",
        addons={"jawsdb": "JAWSDB_URL", "cleardb": "CLEARDB_DATABASE_URL"},
        answers="`SELECT 1` as `app`",
        chart=Chart(
            image="docker.io/library/mysql",
            port=3306,
            memory="1Gi",
            scheme="mysql",
            login="app",
            database="app",
            # Root's too, because the image would otherwise generate one and log it. Root cannot log in from outside.
            password=("MYSQL_PASSWORD", "MYSQL_ROOT_PASSWORD"),
            check=_MYSQL_CHECK % ("MYSQL_PASSWORD", "mysql"),
            env={"MYSQL_USER": "app", "MYSQL_DATABASE": "app", "MYSQL_ROOT_HOST": "localhost"},
            seeded=_mysql_seeded("mysqld", "MYSQL_PASSWORD"),
            copied="/var/lib/greenroom",
            data="/var/lib/mysql",
            below="mysql",
            restart=Restart.DATA_RESET,
        ),
    ),
    "mariadb": Kind(
        title="MariaDB",
        versions=("10.11", "11.4", "11.8"),
        default="11.4",
        variable="DATABASE_URL",
        aliases=("maria",),
        addons={"jawsdb-maria": "JAWSDB_MARIA_URL"},
        answers="`SELECT 1` as `app`",
        tried="yes, Debian's 10.11",
        chart=Chart(
            image="docker.io/library/mariadb",
            port=3306,
            memory="512Mi",
            scheme="mysql",
            login="app",
            database="app",
            password=("MARIADB_PASSWORD", "MARIADB_ROOT_PASSWORD"),
            check=_MYSQL_CHECK % ("MARIADB_PASSWORD", "mariadb --skip-ssl"),
            env={"MARIADB_USER": "app", "MARIADB_DATABASE": "app", "MARIADB_ROOT_HOST": "localhost"},
            seeded=_mysql_seeded("mariadbd", "MARIADB_PASSWORD"),
            copied="/var/lib/greenroom",
            data="/var/lib/mysql",
            below="mysql",
            restart=Restart.DATA_RESET,
        ),
    ),
    "redis": Kind(
        title="Redis",
        versions=("7", "8"),
        default="8",
        variable="REDIS_URL",
        aliases=("cache",),
        addons={
            "heroku-redis": "REDIS_URL",
            "heroku-key-value-store": "REDIS_URL",
            "upstash-redis": "REDIS_URL",
            "rediscloud": "REDISCLOUD_URL",
            "redistogo": "REDISTOGO_URL",
        },
        answers="`PING` returns `PONG`",
        tried="yes, Debian's 7.0",
        local=LocalServer.REDIS,
        programs=("redis-server", "valkey-server"),
        chart=Chart(
            image="docker.io/library/redis",
            port=6379,
            memory="256Mi",
            scheme="redis",
            login="default",
            database="0",
            password=("REDIS_PASSWORD",),
            check='REDISCLI_AUTH="$REDIS_PASSWORD" timeout 2 redis-cli -h "$1" ping | grep -qx PONG',
            start=_REDIS_START % {"server": "redis-server", "password": "REDIS_PASSWORD"},
            data="/data",
            restart=Restart.NOTHING,
        ),
    ),
    "valkey": Kind(
        title="Valkey",
        versions=("8", "9"),
        default="8",
        variable="REDIS_URL",
        answers="`PING` returns `PONG`",
        local=LocalServer.REDIS,
        programs=("valkey-server", "redis-server"),
        chart=Chart(
            image="docker.io/valkey/valkey",
            port=6379,
            memory="256Mi",
            scheme="redis",
            login="default",
            database="0",
            password=("VALKEY_PASSWORD",),
            check='VALKEYCLI_AUTH="$VALKEY_PASSWORD" REDISCLI_AUTH="$VALKEY_PASSWORD" '
            'timeout 2 valkey-cli -h "$1" ping | grep -qx PONG',
            start=_REDIS_START % {"server": "valkey-server", "password": "VALKEY_PASSWORD"},
            data="/data",
            restart=Restart.NOTHING,
        ),
    ),
    "memcached": Kind(
        title="Memcached",
        versions=("1.6",),
        default="1.6",
        variable="MEMCACHE_SERVERS",
        aliases=("memcache",),
        addons={"memcachier": "MEMCACHIER_SERVERS", "memcachedcloud": "MEMCACHEDCLOUD_SERVERS"},
        answers="`version` gets a response",
        chart=Chart(
            image="docker.io/library/memcached",
            port=11211,
            user=11211,
            memory="128Mi",
            check='timeout 2 bash -c \'exec 3<>"/dev/tcp/$1/11211" && printf "version\\r\\n" >&3 && head -c 8 <&3\' '
            'check "$1" | grep -q "^VERSION "',
            start=_MEMCACHED_START,
            restart=Restart.NOTHING,
        ),
    ),
    "rabbitmq": Kind(
        title="RabbitMQ",
        versions=("3.13", "4"),
        default="4",
        variable="CLOUDAMQP_URL",
        aliases=("rabbit", "amqp", "cloudamqp", "queue"),
        addons={"cloudamqp": "CLOUDAMQP_URL"},
        answers="the AMQP 0-9-1 header gets a response",
        tried="yes, Debian's 3.10",
        chart=Chart(
            image="docker.io/library/rabbitmq",
            port=5672,
            memory="512Mi",
            scheme="amqp",
            login="app",
            database="app",
            password=("RABBITMQ_DEFAULT_PASS",),
            check=_AMQP_CHECK,
            every=3,
            env={
                "RABBITMQ_DEFAULT_USER": "app",
                "RABBITMQ_DEFAULT_VHOST": "app",
                "RABBITMQ_LOG": "connection=error",  # each check is a connection
                # Without a limit, RabbitMQ reserves memory for as many files as the node lets a container open.
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+Q 65536",
            },
            data="/var/lib/rabbitmq",
            restart=Restart.DATA_RESET,
        ),
    ),
}


def is_cache(kind: str) -> bool:
    """Return whether needs of this kind may be empty at any time. Return False for an unknown kind."""
    return kind in KINDS and KINDS[kind].cache


def local(kinds: Mapping[str, Kind]) -> tuple[str, ...]:
    """Return the kinds that the local engine offers."""
    return tuple(name for name, kind in kinds.items() if kind.local)

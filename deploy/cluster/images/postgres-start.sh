#!/bin/sh
# Starts PostgreSQL with the environment of the stock image: POSTGRES_USER (a superuser), POSTGRES_PASSWORD, POSTGRES_DB,
# PGDATA, and *.sql in /docker-entrypoint-initdb.d for new data. With INIT_ONLY it makes the data and ends: that is how a
# seed gets into an image. Runs as any user but root.
set -eu
: "${PGDATA:=/var/lib/postgresql/data}" "${POSTGRES_USER:=postgres}" "${POSTGRES_DB:=$POSTGRES_USER}"
bin=$(echo /usr/lib/postgresql/*/bin)
sockets=/var/run/postgresql
[ -w $sockets ] || sockets=/tmp
run() { "$bin/psql" -X -q -v ON_ERROR_STOP=1 -h $sockets -U "$POSTGRES_USER" "$@"; }
quoted() { printf '%s' "$1" | sed "s/'/''/g"; }

if [ ! -s "$PGDATA/PG_VERSION" ]; then
    "$bin/initdb" -D "$PGDATA" -U "$POSTGRES_USER" -A scram-sha-256 --auth-local=trust -E UTF8 --locale=C.UTF-8 --no-sync >/dev/null
    echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
    "$bin/pg_ctl" -D "$PGDATA" -s -w -o "-c listen_addresses= -c unix_socket_directories=$sockets -c fsync=off" start >/dev/null
    [ "$POSTGRES_DB" = postgres ] || run -d postgres -c "CREATE DATABASE \"$POSTGRES_DB\""
    for file in /docker-entrypoint-initdb.d/*.sql; do
        [ ! -e "$file" ] || run -d "$POSTGRES_DB" -f "$file" >/dev/null
    done
    [ -z "${INIT_ONLY:-}" ] || run -d "$POSTGRES_DB" -c 'VACUUM (FREEZE, ANALYZE)' -c CHECKPOINT
    "$bin/pg_ctl" -D "$PGDATA" -s -w -m fast stop
fi
[ -z "${INIT_ONLY:-}" ] || exit 0

# The password is this preview's own, whatever the data was made with.
printf "ALTER ROLE \"%s\" PASSWORD '%s';\n" "$POSTGRES_USER" "$(quoted "${POSTGRES_PASSWORD:?}")" |
    "$bin/postgres" --single -D "$PGDATA" postgres >/dev/null
exec "$bin/postgres" -D "$PGDATA" -c listen_addresses='*' -c unix_socket_directories=$sockets "$@"

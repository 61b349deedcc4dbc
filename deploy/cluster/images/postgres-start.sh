#!/bin/sh
# Starts PostgreSQL the way the stock image does: POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB, PGDATA. With INIT_ONLY it
# makes the data, runs the SQL files in /seed, and ends: that is how a seed gets into an image. Runs as any user but root.
set -eu
: "${PGDATA:=/var/lib/postgresql/data/pgdata}" "${POSTGRES_USER:=app}" "${POSTGRES_DB:=$POSTGRES_USER}"
bin=$(echo /usr/lib/postgresql/*/bin)
run() { "$bin/psql" -X -q -v ON_ERROR_STOP=1 -h /tmp -U postgres "$@"; }
quoted() { printf '%s' "$1" | sed "s/'/''/g"; }

if [ ! -s "$PGDATA/PG_VERSION" ]; then
    "$bin/initdb" -D "$PGDATA" -U postgres -A scram-sha-256 --auth-local=trust -E UTF8 --locale=C.UTF-8 --no-sync >/dev/null
    echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
    "$bin/pg_ctl" -D "$PGDATA" -s -w -o "-c listen_addresses= -c unix_socket_directories=/tmp -c fsync=off" start
    run -d postgres -c "CREATE ROLE \"$POSTGRES_USER\" LOGIN" -c "CREATE DATABASE \"$POSTGRES_DB\" OWNER \"$POSTGRES_USER\""
    for file in /seed/*.sql; do
        [ ! -e "$file" ] || run -d "$POSTGRES_DB" -c "SET ROLE \"$POSTGRES_USER\"" -f "$file" >/dev/null
    done
    "$bin/pg_ctl" -D "$PGDATA" -s -w -m fast stop
fi
[ -z "${INIT_ONLY:-}" ] || exit 0

# The password is this preview's own, whatever the data was made with.
printf "ALTER ROLE \"%s\" PASSWORD '%s';\n" "$POSTGRES_USER" "$(quoted "$POSTGRES_PASSWORD")" |
    "$bin/postgres" --single -D "$PGDATA" postgres >/dev/null
exec "$bin/postgres" -D "$PGDATA" -c listen_addresses='*' -c unix_socket_directories=/tmp

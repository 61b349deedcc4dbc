#!/bin/sh
# Turn a dump into a PostgreSQL data directory that can be packed into an image. The script runs in the container of a
# stock database image (as the image's user, without privileges), or with local server programs on a laptop or CI runner.
#
#   bake-postgresql.sh --work DIR [--programs DIR] [--extension NAME]... [--jobs N] [--migrate] [--wait SECONDS] [--attached]
#
# All input and output is in the folder of --work:
#   dump         read: plain SQL, or a pg_dump archive (custom, tar or directory). Not compressed.
#                Without a dump, the database starts empty.
#   socket/      where the server listens; it has no TCP port
#   ready        written with --migrate once the dump is restored: a migration may now connect as app
#   done         read with --migrate: empty if the migration succeeded, otherwise the reason why it failed
#   pgdata/      written: the data directory, cleanly stopped
#   report.json  written last: rows per table, the migrations that ran, and seconds per phase, or the phase and the error
#
# bake-common.sh, ledgers.sql and extension.sql must be in the same folder as this script.
#
# Each phase also prints one line of JSON. Errors contain names of tables and columns, but never values: PostgreSQL's
# DETAIL and CONTEXT lines are left out, and so is any quoted text that is not such a name.
set -eu
umask 077
LC_ALL=C TZ=UTC
export LC_ALL TZ

work='' programs='' extensions='' jobs=1 migrate='' wait_seconds=900 attached=''
phase=start began=0 seconds='' running=''
self=$$
unset PGDATA PGHOST PGPORT PGUSER PGPASSWORD PGPASSFILE PGDATABASE PGSERVICE PGSERVICEFILE PGOPTIONS PGSSLMODE PGREQUIREAUTH

. "$(dirname "$0")/bake-common.sh"

stopped() {
    "$programs/pg_ctl" -D "$work/pgdata" -m immediate -w stop
}

finish() { # a failed or interrupted run leaves no server behind
    trap - EXIT HUP INT TERM
    [ -z "$running" ] || stopped >/dev/null 2>&1 || :
    [ -z "$attached" ] || kill "$attached" 2>/dev/null || :
    rm -f "$work/server.log" "$work/client.log"
}

unvalued() { # hide quoted text in a message, unless the word before it shows that it is a name
    names='relation|table|column|constraint|index|type|schema|function|extension|role|sequence|view|language|operator|trigger|database'
    sed -E -e "s/($names) \"([^\"]*)\"/\1 <<\2>>/g" -e 's/"[^"]*("|$)/"..."/g' -e 's/<<([^>]*)>>/"\1"/g' -e 's/ at character [0-9]+$//'
}

reason() { # the first error of the server, otherwise that of the client, without values
    # When the disk fills up in the middle of a page, PostgreSQL reports only how many bytes it wrote.
    if grep -Eqs '^53100 |No space left on device|Disk quota exceeded|wrote only [0-9]+ of [0-9]+ bytes' "$work/server.log" "$work/client.log"; then
        echo "the disk of $work is full. Free some space, or choose another folder for --work."
        return
    fi
    line=$(sed -n -e 's/^\([0-9A-Z]\{5\}\) [A-Z]*:  *\(.*\)/\1 \2/p' "$work/server.log" 2>/dev/null | sed -n -e '/^00000 /d' -e '/^57P01 /d' -e 'p;q')
    case $line in
    'P0001 '*) echo 'a function raised an exception; its message is not shown, because it may contain values.' ;;
    ?*) printf '%s%s\n' "$(printf %s "${line#* }" | unvalued)" "$(place)" ;;
    *) grep -m 1 -E 'error|ERROR|FATAL|invalid command' "$work/client.log" 2>/dev/null | sed -e 's/^psql:<stdin>:/line /' | unvalued || echo 'it gave no reason' ;;
    esac
}

place() { # the table, row and column where a COPY failed (without the value), or the line of a plain dump
    copy=$(sed -n -E -e 's/^.*CONTEXT:  COPY ([^,:"]*), line ([0-9]+)(, column [^:,"]*)?.*/table \1, row \2\3/p' "$work/server.log" | sed -n 1p)
    line=$(sed -n -e 's/^psql:<stdin>:\([0-9]*\): ERROR.*/\1/p' "$work/client.log" 2>/dev/null | sed -n 1p)
    if [ -n "$copy" ]; then printf ' (%s)' "$copy"; else printf '%s' "${line:+ (line $line of the dump)}"; fi
}

sql() { # run statements as a role; functions of the dump cannot hide those of PostgreSQL
    role=$1
    shift
    PGOPTIONS='-c search_path=pg_catalog' "$programs/psql" -X -q -A -t -v ON_ERROR_STOP=1 -h "$work/socket" -U "$role" "$@" 2>"$work/client.log"
}

while [ $# -gt 0 ]; do
    case $1 in
    --work) work=$2 && shift 2 ;;
    --programs) programs=$2 && shift 2 ;;
    --extension) extensions="$extensions $2" && shift 2 ;;
    --jobs) jobs=$2 && shift 2 ;;
    --wait) wait_seconds=$2 && shift 2 ;;
    --migrate) migrate=1 && shift ;;
    --attached) attached=1 && shift ;;
    *) fail "$1 is not an option of bake-postgresql.sh." ;;
    esac
done

prepared PostgreSQL postgres pgdata
if [ -z "$programs" ]; then
    programs=$(command -v initdb || ls -d /usr/lib/postgresql/*/bin/initdb 2>/dev/null | sort -V | tail -n 1)
    programs=$(readlink -f "$programs") # a link in /usr/local/bin points to the folder with all programs
    programs=${programs%/initdb}
fi
for program in initdb pg_ctl pg_controldata pg_restore postgres psql; do
    [ -x "$programs/$program" ] || fail "$program was not found${programs:+ in $programs}. Pass the folder of PostgreSQL's programs with --programs."
done
server=$("$programs/postgres" --version)
server=${server#*PostgreSQL) }
server=${server%% *}
major=${server%%[!0-9]*}

guarded stopped

begin initdb
provider=''
[ "$major" -lt 17 ] || provider=--locale-provider=builtin # avoid the C library's collations, which differ between images
"$programs/initdb" -D "$work/pgdata" --username=postgres --encoding=UTF8 --locale=C.UTF-8 $provider --auth-local=trust \
    --auth-host=scram-sha-256 --no-sync >"$work/client.log" 2>&1 || fail "initdb failed: $(reason)"
cp "$work/pgdata/postgresql.conf" "$work/postgresql.conf"
mkdir -p "$work/socket"
# A crash of this server loses nothing, because the script is then run again. wal_recycle and min_wal_size keep old WAL
# segments out of the layer. Each log line begins with its SQLSTATE, by which reason() finds the first error.
cat >>"$work/pgdata/postgresql.conf" <<END
listen_addresses = ''
unix_socket_directories = '$work/socket'
fsync = off
full_page_writes = off
synchronous_commit = off
autovacuum = off
wal_level = minimal
max_wal_senders = 0
max_wal_size = 8GB
min_wal_size = 32MB
wal_recycle = off
maintenance_work_mem = 256MB
logging_collector = off
log_destination = stderr
log_line_prefix = '%e '
log_min_messages = error
log_min_error_statement = panic
END
"$programs/pg_ctl" -D "$work/pgdata" -w -t 120 -l "$work/server.log" start >"$work/client.log" 2>&1 </dev/null ||
    fail "PostgreSQL did not start: $(reason)"
running=1
sql postgres -d postgres -c 'CREATE ROLE app LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE' -c 'CREATE DATABASE app OWNER app' ||
    fail "The database could not be created: $(reason)"
# Before 15, only the superuser may comment on the schema public, as dumps do.
[ "$major" -ge 15 ] || sql postgres -d app -c 'ALTER SCHEMA public OWNER TO app' || fail "The owner of the schema public could not be changed: $(reason)"
for extension in $extensions; do
    sql postgres -d app -v name="$extension" -f "$(dirname "$0")/extension.sql" >/dev/null ||
        fail "The extension $extension could not be created: $(reason)"
done
passed

format() {
    if [ -d "$work/dump" ]; then
        echo directory
    elif [ "$(head -c 5 "$work/dump" | tr -d '\000')" = PGDMP ]; then
        echo custom
    elif [ "$(head -c 262 "$work/dump" | tail -c 5 | tr -d '\000')" = ustar ]; then
        echo tar
    else
        echo plain
    fi
}

restore_archive() {
    if [ "$1" != tar ] && [ "$jobs" -gt 1 ]; then set -- -j "$jobs"; else set -- --single-transaction; fi
    "$programs/pg_restore" -h "$work/socket" -U app -d app --exit-on-error --no-owner --no-privileges "$@" "$work/dump" \
        >/dev/null 2>"$work/client.log"
}

restore_plain() {
    # A dump that contains \! makes psql run shell commands. In its restricted mode, psql refuses them. The dump's own
    # key is removed, because the dump's author knows it. Versions of psql before August 2025 have no restricted mode.
    theirs=$(head -n 40 "$work/dump" | sed -n -e 's/^\\restrict \([A-Za-z0-9]*\)$/\1/p' | sed -n 1p)
    ours=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
    set -- -f -
    if sql app -d app -c "\\restrict $ours" -c "\\unrestrict $ours" >/dev/null 2>&1; then set -- -c "\\restrict $ours" -f -; fi
    if [ -n "$theirs" ]; then
        sed -e "s/^\\\\restrict $theirs\$//" -e "s/^\\\\unrestrict $theirs\$//" "$work/dump" | psql_as_app "$@"
    else
        psql_as_app "$@" <"$work/dump"
    fi
}

psql_as_app() {
    "$programs/psql" -X -q -v ON_ERROR_STOP=1 --single-transaction -h "$work/socket" -U app -d app "$@" >/dev/null 2>"$work/client.log"
}

begin restore
: >"$work/server.log"
if [ -e "$work/dump" ]; then
    case $(format) in
    plain) restore_plain ;;
    *) restore_archive "$(format)" ;;
    esac || fail "The dump could not be restored: $(reason)"
fi
passed

[ -z "$migrate" ] || migrated

begin ledger
: >"$work/server.log"
# This runs as app: the tables come from the dump, and a superuser must not run their functions.
ledger=$(sql app -d app -f "$(dirname "$0")/ledgers.sql") || fail "The migration table could not be read: $(reason)"
[ -n "$ledger" ] || fail 'The migration table could not be read: ledgers.sql printed nothing.'

begin vacuum
: >"$work/server.log"
# VACUUM does not freeze rows whose commit is not on disk yet. With synchronous_commit off, a commit reaches the disk only
# after a while, or at a checkpoint.
sql postgres -d app -c CHECKPOINT -c 'VACUUM (FREEZE, ANALYZE)' || fail "VACUUM failed: $(reason)"
passed

begin verify
invalid=$(sql postgres -d app -c "SELECT string_agg(format('%s', indexrelid::regclass), ', ') FROM pg_index WHERE NOT indisvalid") ||
    fail "The indexes could not be verified: $(reason)"
[ -z "$invalid" ] || fail "These indexes are invalid: $invalid. Drop them or create them again, then dump again."
# VALIDATE runs expressions from the dump, so this runs as app. Each transaction is rolled back: the schema does not change.
sql app -d app >/dev/null <<'END' || fail "The rows violate a constraint that is NOT VALID: $(reason). Fix the rows or drop the constraint, then dump again."
SELECT 'BEGIN', format('ALTER TABLE %s VALIDATE CONSTRAINT %I', conrelid::regclass, conname), 'ROLLBACK'
  FROM pg_constraint c WHERE NOT convalidated AND conrelid <> 0 AND coalesce(to_jsonb(c) ->> 'conenforced', 'true') = 'true'
  AND pg_has_role('app', (SELECT relowner FROM pg_class WHERE oid = conrelid), 'USAGE') \gexec
END
behind=$(sql postgres -d app <<'END'
SELECT format(
    'SELECT %L FROM (SELECT max(%I) AS top FROM ONLY %s) t, %s s WHERE top > last_value OR (top = last_value AND NOT is_called)',
    format('%s (table %s)', s.oid::regclass, t.oid::regclass), a.attname, t.oid::regclass, s.oid::regclass)
  FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S' JOIN pg_class t ON t.oid = d.refobjid AND t.relkind = 'r'
  JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid JOIN pg_sequence q ON q.seqrelid = s.oid
  WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
  AND a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype) AND q.seqincrement > 0 AND NOT q.seqcycle \gexec
END
) || fail "The sequences could not be verified: $(reason)"
[ -z "$behind" ] || fail "The next INSERT would fail, because these sequences are behind the largest id: $(printf %s "$behind" | tr '\n' ',' | sed 's/,/, /g'). Set them with setval, then dump again."
rows=$(sql postgres -d app <<'END'
SELECT 'SELECT coalesce(json_object_agg(n, c ORDER BY n), ''{}'') FROM (' || coalesce(string_agg(
    format('SELECT %L AS n, count(*) AS c FROM %I.%I', n.nspname || '.' || c.relname, n.nspname, c.relname), ' UNION ALL '),
    'SELECT '''' AS n, 0 AS c WHERE false') || ') t'
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname NOT IN ('pg_catalog', 'information_schema')
  AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = c.oid AND deptype = 'e') \gexec
END
) || fail "The rows could not be counted: $(reason)"
passed

begin stop
sql postgres -d postgres -c CHECKPOINT -c 'SELECT pg_switch_wal()' -c CHECKPOINT >/dev/null || fail "The checkpoint failed: $(reason)"
"$programs/pg_ctl" -D "$work/pgdata" -m fast -w -t 300 stop >"$work/client.log" 2>&1 || fail "PostgreSQL did not stop: $(reason)"
running=''
state=$("$programs/pg_controldata" -D "$work/pgdata" | sed -n 's/^Database cluster state: *//p')
[ "$state" = 'shut down' ] || fail "PostgreSQL did not stop cleanly (its state is: $state)."
mv "$work/postgresql.conf" "$work/pgdata/postgresql.conf"
echo "listen_addresses = '*'" >>"$work/pgdata/postgresql.conf"
# Without this setting, PostgreSQL opens every file after a crash, and an overlay file system then copies all of them.
[ "$major" -lt 14 ] || echo 'recovery_init_sync_method = syncfs' >>"$work/pgdata/postgresql.conf"
printf 'local all all trust\nhost all all all scram-sha-256\n' >"$work/pgdata/pg_hba.conf"
passed

printf '{"server": %s, "machine": %s, "rows": %s, "ledger": %s, "seconds": {%s}}\n' "$(quoted "$server")" "$(quoted "$(uname -m)")" "$rows" "$ledger" "$seconds" >"$work/report.tmp"
mv "$work/report.tmp" "$work/report.json"

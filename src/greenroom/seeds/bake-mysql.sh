#!/bin/sh
# Turn a dump into a data directory of MariaDB or MySQL that can be packed into an image. Its interface is that of
# bake-postgresql.sh, except that the dump is plain SQL, there are no extensions, and the data is in mysqldata/.
#
#   bake-mysql.sh --work DIR [--programs DIR] [--jobs N] [--migrate] [--wait SECONDS] [--attached]
#
# bake-common.sh must be in the same folder as this script.
#
# Errors contain names of tables and columns, but never values.
set -eu
umask 077
LC_ALL=C TZ=UTC
export LC_ALL TZ

work='' programs='' migrate='' wait_seconds=900 attached=''
phase=start began=0 seconds='' running=''
least=102400 # free kilobytes, below which a failure is the disk's fault
self=$$
unset MYSQL_HOST MYSQL_PWD MYSQL_TCP_PORT MYSQL_UNIX_PORT MYSQL_HOME MARIADB_HOST

. "$(dirname "$0")/bake-common.sh"

stopped() {
    kill -KILL "$(cat "$work/socket/pid")"
}

finish() { # a failed or interrupted run leaves no server behind
    trap - EXIT HUP INT TERM
    [ -z "$running" ] || kill -KILL "$running" 2>/dev/null || :
    [ -z "$running" ] || wait "$running" 2>/dev/null || :
    [ -z "$attached" ] || kill "$attached" 2>/dev/null || :
    rm -f "$work/server.log" "$work/client.log"
}

unvalued() { # hide quoted text in a message, unless the word before it shows that it is a name
    names='key|column|Column|Table|table|Unknown column|index|constraint|database|function|procedure|view|trigger|engine|collation|set|in'
    sed -E -e "s/([Cc])an't/\1annot/g" -e "s/([a-z])n't/\1 not/g" -e "s/([a-z])'s /\1s /g" \
        -e "s/entry '.*' for key/entry ... for key/" -e "s/value: '.*' for column/value for column/" -e "s/ near '.*//" \
        -e "s/($names) '([^']*)'/\1 <<\2>>/g" -e "s/'.*('|$)/.../" -e "s/<<([^>]*)>>/'\1'/g"
}

reason() { # the error of the client, otherwise the first one of the server, without values
    # mariadb-install-db does not show the server's error, and removes what it wrote.
    free=$(df -Pk "$work" 2>/dev/null | tail -n 1 | { read -r _ _ _ kilobytes _ && echo "$kilobytes"; }) || free=''
    if [ "${free:-$least}" -lt "$least" ] || grep -Eqs '^ERROR (1021|1026) ' "$work/client.log" ||
        grep -Eqs 'No space left on device|Disk quota exceeded|Errcode: (28|122)|is full' "$work/server.log"; then
        echo "the disk of $work is full. Free some space, or choose another folder for --work."
        return
    fi
    line=$(grep -m 1 -E '^ERROR' "$work/client.log" 2>/dev/null) || line=''
    if [ -z "$line" ]; then
        line=$(grep -m 1 -E '\[ERROR\]|FATAL' "$work/server.log" 2>/dev/null | sed -E -e 's/^.*\[ERROR\] //' | unvalued) || line=''
        echo "${line:-it gave no reason}"
        return
    fi
    number=$(printf %s "$line" | sed -n -E 's/^ERROR ([0-9]+) .*/\1/p')
    at=$(printf %s "$line" | sed -n -E 's/^ERROR ([0-9]+ \([0-9A-Z]+\) )?at line ([0-9]+).*/ (line \2 of the dump)/p')
    text=$(printf %s "$line" | sed -E 's/^ERROR [^:]*: //')
    case $number in
    # Their texts have names, and values only where unvalued() removes them. Others, such as those that a trigger raises,
    # may have values anywhere.
    1005 | 1007 | 1044 | 1045 | 1046 | 1048 | 1049 | 1050 | 1054 | 1060 | 1061 | 1062 | 1064 | 1067 | 1068 | 1069 | 1070 | 1071 | 1072 | \
        1075 | 1091 | 1101 | 1109 | 1114 | 1115 | 1118 | 1136 | 1142 | 1146 | 1148 | 1193 | 1215 | 1216 | 1217 | 1227 | 1231 | 1235 | 1264 | \
        1273 | 1286 | 1292 | 1305 | 1364 | 1366 | 1406 | 1451 | 1452 | 1822 | 1824 | 4166) printf '%s%s' "$(printf %s "$text" | unvalued)" "$at" ;;
    '') case $text in
        'Unknown command'*) printf 'the dump contains a command of the client%s' "$at" ;;
        *) printf 'the client failed%s' "$at" ;;
        esac ;;
    *) printf 'error %s, whose message is not shown, because it may contain values%s' "$number" "$at" ;;
    esac
}

sql() { # run statements of standard input as a user
    # --binary-mode takes the client's own commands, such as \!, out of the input.
    "$client" --no-defaults --socket="$work/socket/server" --user="$1" --database="$2" --binary-mode --batch --raw \
        --skip-column-names --max-allowed-packet=1G --default-character-set=utf8mb4 2>"$work/client.log"
}

while [ $# -gt 0 ]; do
    case $1 in
    --work) work=$2 && shift 2 ;;
    --programs) programs=$2 && shift 2 ;;
    --jobs) shift 2 ;; # one client restores the dump
    --wait) wait_seconds=$2 && shift 2 ;;
    --migrate) migrate=1 && shift ;;
    --attached) attached=1 && shift ;;
    *) fail "$1 is not an option of bake-mysql.sh." ;;
    esac
done

prepared "The database server" mysql mysqldata
PATH=${programs:+$programs:}$PATH:/usr/sbin:/usr/local/sbin
export PATH
server=$(command -v mariadbd || command -v mysqld) || fail "Neither mariadbd nor mysqld was found${programs:+ in $programs}. Pass the folder of the server's programs with --programs."
client=$(command -v mariadb || command -v mysql) || fail "Neither mariadb nor mysql was found${programs:+ in $programs}. Install the client beside the server."
version=$("$server" --no-defaults --version | sed -n -E 's/^.* Ver ([0-9.]+).*/\1/p')
case $("$server" --no-defaults --version) in *MariaDB*) flavor=mariadb ;; *) flavor=mysql ;; esac

guarded stopped

begin initdb
mkdir -p "$work/socket" "$work/tmp"
data="$work/mysqldata"
if [ "$flavor" = mariadb ]; then
    mariadb-install-db --no-defaults --datadir="$data" --tmpdir="$work/tmp" --skip-test-db --skip-name-resolve \
        --auth-root-authentication-method=normal --innodb-log-file-size=16M >"$work/client.log" 2>&1 || fail "mariadb-install-db failed: $(reason)"
else
    "$server" --no-defaults --datadir="$data" --tmpdir="$work/tmp" --initialize-insecure --innodb-log-file-size=16M \
        --loose-mysqlx=OFF --log-error="$work/server.log" >"$work/client.log" 2>&1 || fail "mysqld --initialize failed: $(reason)"
fi
# Nothing is lost when this server crashes, because the work then starts again. A small log keeps the layer small, and the
# first start fast: an overlay file system copies the log when the server first writes to it.
"$server" --no-defaults --datadir="$data" --tmpdir="$work/tmp" --socket="$work/socket/server" --pid-file="$work/socket/pid" \
    --log-error="$work/server.log" --skip-networking --skip-log-bin --character-set-server=utf8mb4 --max-allowed-packet=1G \
    --innodb-buffer-pool-size=256M --innodb-flush-log-at-trx-commit=0 --innodb-doublewrite=0 --innodb-log-file-size=16M \
    --innodb-buffer-pool-dump-at-shutdown=0 --secure-file-priv="$work/tmp" --local-infile=0 --event-scheduler=OFF --loose-mysqlx=OFF \
    </dev/null >/dev/null 2>&1 &
running=$!
waited=0
until echo 'SELECT 1' | sql root '' >/dev/null 2>&1; do
    kill -0 "$running" 2>/dev/null || { : >"$work/client.log" && fail "The server did not start: $(reason)"; }
    [ "$waited" -lt 600 ] || fail 'The server did not start within two minutes.'
    sleep 0.2 2>/dev/null || sleep 1
    waited=$((waited + 1))
done
# Accounts without a name would match before app.
strangers=$(echo "SELECT CONCAT('DROP USER ', QUOTE(user), '@', QUOTE(host), ';') FROM mysql.user WHERE user = '' OR (user = 'root' AND host <> 'localhost')" | sql root '') ||
    fail "The accounts could not be read: $(reason)"
sql root '' <<END || fail "The database could not be created: $(reason)"
$strangers
CREATE DATABASE app CHARACTER SET utf8mb4;
CREATE USER 'app'@'%';
GRANT ALL ON app.* TO 'app'@'%';
END
# As the stock images do: without these tables, CONVERT_TZ returns NULL.
zones=$(command -v mariadb-tzinfo-to-sql || command -v mysql_tzinfo_to_sql) || zones=''
if [ -n "$zones" ] && [ -d /usr/share/zoneinfo ]; then
    "$zones" /usr/share/zoneinfo 2>/dev/null | sed 's/Local time zone must be set--see zic manual page/FCTY/' | sql root mysql >/dev/null ||
        fail "The time zones could not be loaded: $(reason)"
fi
passed

begin restore
least=1024
: >"$work/server.log"
if [ -e "$work/dump" ]; then
    sql app app <"$work/dump" >/dev/null || fail "The dump could not be restored: $(reason)"
fi
passed

[ -z "$migrate" ] || migrated

# ledger_of TOOL TABLE COLUMNS QUERY: what ledgers.sql prints for a tool, if the table has these columns.
ledger_of() {
    wanted=$(printf "'%s'" "$3" | sed "s/ /','/g") number=$(printf %s "$3" | wc -w)
    found=$(echo "SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = 'app' AND table_name = '$2' AND column_name IN ($wanted)" | sql app app) || return 1
    [ "$found" = "$((number))" ] || return 0
    sql app app <<END
SET SESSION group_concat_max_len = 100000000;
SELECT CONCAT('{"tool": "$1", "applied": [', COALESCE(GROUP_CONCAT(IF(done, JSON_ARRAY(name, checksum), NULL) ORDER BY place, name SEPARATOR ', '), ''),
    '], "failed": [', COALESCE(GROUP_CONCAT(IF(done, NULL, JSON_QUOTE(name)) ORDER BY place, name SEPARATOR ', '), ''), ']}') FROM ($4) AS entries;
END
}

ledgers() {
    ledger_of django django_migrations 'id app name' "SELECT CONCAT(app, '.', name) AS name, '' AS checksum, TRUE AS done, id AS place FROM django_migrations" || return 1
    ledger_of alembic alembic_version version_num "SELECT version_num AS name, '' AS checksum, TRUE AS done, 0 AS place FROM alembic_version" || return 1
    # Other tools have a table of this name too. Only Rails has the second one.
    internal=$(echo "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = 'app' AND table_name = 'ar_internal_metadata'" | sql app app) || return 1
    [ "$internal" = 0 ] || ledger_of rails schema_migrations version "SELECT version AS name, '' AS checksum, TRUE AS done, 0 AS place FROM schema_migrations" || return 1
    # Of a version, the last entry counts: it may have been undone, or deleted by 'flyway repair'.
    ledger_of flyway flyway_schema_history 'installed_rank version type script checksum success' "SELECT CASE type WHEN 'BASELINE' THEN CONCAT('baseline ', version)
        WHEN 'SQL' THEN SUBSTRING_INDEX(script, '/', -1) ELSE SUBSTRING_INDEX(script, '.', -1) END AS name, COALESCE(CAST(checksum AS CHAR), '') AS checksum,
        success AS done, installed_rank AS place FROM (SELECT h.*, ROW_NUMBER() OVER (PARTITION BY COALESCE(version, script) ORDER BY installed_rank DESC) AS nth
        FROM flyway_schema_history h WHERE type <> 'SCHEMA') AS newest WHERE nth = 1 AND type NOT IN ('DELETE', 'UNDO_SQL', 'UNDO_SPRING_JDBC', 'UNDO_JDBC')" || return 1
    ledger_of prisma _prisma_migrations 'migration_name checksum finished_at rolled_back_at started_at' "SELECT migration_name AS name, checksum, finished_at IS NOT NULL AS done, 0 AS place FROM _prisma_migrations WHERE rolled_back_at IS NULL" || return 1
    ledger_of knex knex_migrations 'id name' "SELECT name, '' AS checksum, TRUE AS done, id AS place FROM knex_migrations"
}

begin ledger
found=$(ledgers) || fail "The migration table could not be read: $(reason)"
case $(printf %s "$found" | grep -c .) in
0) ledger='{"tool": ""}' ;;
1) ledger=$found ;;
*) ledger=$(printf '{"tool": "several", "ledgers": [%s]}' "$(printf %s "$found" | tr '\n' ',' | sed 's/,$//')") ;;
esac

begin analyze
tables=$(echo "SELECT CONCAT('ANALYZE TABLE \`', REPLACE(table_name, '\`', '\`\`'), '\`;') FROM information_schema.tables WHERE table_schema = 'app' AND table_type IN ('BASE TABLE', 'SYSTEM VERSIONED')" | sql app app) ||
    fail "The tables could not be listed: $(reason)"
printf '%s\n' "$tables" | sql app app >/dev/null || fail "ANALYZE TABLE failed: $(reason)"
passed

begin verify
# A dump restores its rows without checking foreign keys.
checks=$(sql app app <<'END'
SET SESSION group_concat_max_len = 1000000;
SELECT CONCAT('SELECT ', QUOTE(CONCAT(c.constraint_name, ' (table ', c.table_name, ')')), ' FROM `', REPLACE(c.table_name, '`', '``'), '` c WHERE ',
    GROUP_CONCAT(CONCAT('c.`', REPLACE(c.column_name, '`', '``'), '` IS NOT NULL') SEPARATOR ' AND '),
    ' AND NOT EXISTS (SELECT 1 FROM `', REPLACE(c.referenced_table_name, '`', '``'), '` p WHERE ',
    GROUP_CONCAT(CONCAT('p.`', REPLACE(c.referenced_column_name, '`', '``'), '` = c.`', REPLACE(c.column_name, '`', '``'), '`') SEPARATOR ' AND '), ') LIMIT 1;')
  FROM information_schema.key_column_usage c
  WHERE c.table_schema = 'app' AND c.referenced_table_schema = 'app' GROUP BY c.constraint_name, c.table_name, c.referenced_table_name;
END
) || fail "The foreign keys could not be read: $(reason)"
orphans=$(printf '%s\n' "$checks" | sql app app) || fail "The foreign keys could not be verified: $(reason)"
[ -z "$orphans" ] || fail "Rows refer to rows that do not exist. These foreign keys do not hold: $(printf %s "$orphans" | tr '\n' ',' | sed 's/,/, /g'). Fix the rows or drop the key, then dump again."
counts=$(sql app app <<'END'
SET SESSION group_concat_max_len = 100000000;
SELECT CONCAT('SELECT CONCAT(''{'', GROUP_CONCAT(CONCAT(JSON_QUOTE(n), '': '', c) ORDER BY n SEPARATOR '', ''), ''}'') FROM (', GROUP_CONCAT(
    CONCAT('SELECT ', QUOTE(table_name), ' AS n, COUNT(*) AS c FROM `', REPLACE(table_name, '`', '``'), '`') SEPARATOR ' UNION ALL '), ') t;')
  FROM information_schema.tables WHERE table_schema = 'app' AND table_type IN ('BASE TABLE', 'SYSTEM VERSIONED');
END
) || fail "The tables could not be listed: $(reason)"
rows='{}'
[ "$counts" = NULL ] || rows=$({ echo 'SET SESSION group_concat_max_len = 100000000;' && printf '%s\n' "$counts"; } | sql app app) ||
    fail "The rows could not be counted: $(reason)"
passed

begin stop
sql root '' <<'END' || fail "The server could not be prepared for its end: $(reason)"
ALTER USER 'root'@'localhost' ACCOUNT LOCK;
ALTER USER 'app'@'%' ACCOUNT LOCK;
SET GLOBAL innodb_fast_shutdown = 0;
END
: >"$work/server.log"
kill -TERM "$running"
wait "$running" || fail "The server did not stop: $(reason)"
running=''
grep -Eqi 'shutdown complete' "$work/server.log" || fail 'The server did not stop cleanly.'
# Each server writes its own of these.
rm -f "$data"/*.pid "$data"/*.pem "$data"/auto.cnf "$data"/ib_buffer_pool "$data"/ibtmp1
passed

printf '{"server": %s, "machine": %s, "rows": %s, "ledger": %s, "seconds": {%s}}\n' "$(quoted "$version")" "$(quoted "$(uname -m)")" "$rows" "$ledger" "$seconds" >"$work/report.tmp"
mv "$work/report.tmp" "$work/report.json"

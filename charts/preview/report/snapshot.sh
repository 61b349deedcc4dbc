#!/bin/sh
# snapshot.sh before|after|again: print one JSON line that describes the database; psql's PG* variables say where it is.
# It always exits 0: the migration must not depend on its report. Each line of the file that $GREENROOM_PROBES names is
# one query that counts rows; their results are a second JSON line.
here=$(dirname "$0")
export PGCONNECT_TIMEOUT="${PGCONNECT_TIMEOUT:-10}"
line=$(psql -X -q -A -t -w -v moment="$1" -f "$here/snapshot.sql" 2>/dev/null)
case $line in
'{'*) printf '%s\n' "$line" ;;
*) printf '{"greenroom": "snapshot", "version": 1, "moment": "%s", "failed": true}\n' "$1" ;;
esac

[ -r "${GREENROOM_PROBES:-}" ] || exit 0
counts=
while IFS= read -r query; do
    count=$(PGOPTIONS='-c default_transaction_read_only=on -c statement_timeout=5s -c lock_timeout=200ms' \
        psql -X -q -A -t -w -c "$query" 2>/dev/null)
    case $count in
    '' | *[!0-9]*) count=null ;;
    esac
    counts="$counts${counts:+, }$count"
done <"$GREENROOM_PROBES"
printf '{"greenroom": "probes", "version": 1, "counts": [%s]}\n' "$counts"
exit 0

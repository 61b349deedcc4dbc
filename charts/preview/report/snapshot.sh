#!/bin/sh
# snapshot.sh before|after|again: print one JSON line that describes the database, and one with the migrations that its
# tool has recorded. psql's PG* variables name the database. It always exits 0: a migration must not depend on its report.
here=$(dirname "$0")
export PGCONNECT_TIMEOUT="${PGCONNECT_TIMEOUT:-10}"
line=$(psql -X -q -A -t -w -v moment="$1" -f "$here/snapshot.sql" 2>/dev/null)
case $line in
'{'*) printf '%s\n' "$line" ;;
*) printf '{"greenroom": "snapshot", "version": 1, "moment": "%s", "failed": true}\n' "$1" ;;
esac

ledger=$(PGOPTIONS='-c statement_timeout=5s -c lock_timeout=200ms' \
    psql -X -q -A -t -w -v ON_ERROR_STOP=1 -f "$here/ledgers.sql" 2>/dev/null)
case $ledger in
'{'*) [ "${#ledger}" -gt 1000000 ] || printf '{"greenroom": "ledger", "version": 1, "moment": "%s", "found": %s}\n' "$1" "$ledger" ;;
esac
exit 0

# Functions of the scripts that turn a dump into a data directory. Sourced by them; they set `work`, `phase` and `seconds`.

now() { # centiseconds
    if read -r uptime _ 2>/dev/null </proc/uptime; then echo "${uptime%.*}${uptime#*.}"; else echo "$(date +%s)00"; fi
}

quoted() { # one line of text as a JSON string
    printf '"%s"' "$(printf %s "$1" | tr -d '\000-\037' | sed -e 's/\\/\\\\/g' -e 's/"/\\"/g')"
}

begin() {
    phase=$1 began=$(now)
}

passed() {
    took=$(($(now) - began))
    took=$(printf '%d.%02d' $((took / 100)) $((took % 100)))
    printf '{"phase": "%s", "seconds": %s}\n' "$phase" "$took"
    seconds="$seconds${seconds:+, }\"$phase\": $took"
}

fail() {
    printf '{"phase": "%s", "error": %s}\n' "$phase" "$(quoted "$1")" | tee "$work/report.json" 2>/dev/null || :
    exit 1
}

migrated() { # wait until whoever started the script has run the migration
    begin migrate
    : >"$work/ready"
    waited=0
    until [ -e "$work/done" ]; do
        [ "$waited" -lt $((wait_seconds * 5)) ] || fail "The migration did not finish within $wait_seconds s."
        sleep 0.2 2>/dev/null || sleep 1
        waited=$((waited + 1))
    done
    [ ! -s "$work/done" ] || fail "$(head -n 1 "$work/done")"
    passed
}

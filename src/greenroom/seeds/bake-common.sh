# Functions of the scripts that turn a dump into a data directory. Sourced by them; they set the variables.

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

prepared() { # prepared SERVER USER DATA: check the folder of --work, in which the server makes the folder DATA
    [ -d "$work" ] || { work=/nonexistent && fail 'Pass an existing folder with --work.'; }
    case $work in
    *[!A-Za-z0-9/._-]*) fail "The path $work has characters that $1's options do not accept. Use letters, digits and . _ -" ;;
    esac
    [ "${#work}" -le 80 ] || fail "The path $work is too long for a socket. Choose a folder with a shorter path."
    [ "$(id -u)" != 0 ] || fail "$1 cannot run as root. Run this script as another user, such as the $2 user of the image."
    [ ! -e "$work/$3" ] || fail "$work/$3 already exists. Start with a new folder."
    rm -f "$work/report.json" "$work/ready"
}

guarded() { # guarded STOP: clean up at the end. With --attached, also end when the program that started the script does
    trap finish EXIT
    trap 'exit 1' HUP INT TERM
    [ -n "$attached" ] || return 0
    exec 3<&0 </dev/null # standard input ends when that program is killed
    {
        while read -r _; do :; done <&3
        "$1"
        kill "$self"
    } >/dev/null 2>&1 &
    attached=$!
    exec 3<&-
}

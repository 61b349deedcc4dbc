# The images that tests and benches stand on, made from Debian's packages without a Docker daemon: `python` for services
# and `postgres`, both for any user but root. Sourced by `cluster`; `cluster images` makes what the registry lacks.

# tree NAME PACKAGES: a Debian tree, kept in the cache.
tree() {
    local name=$1 packages=$2 target=$CACHE/trees/$1
    [ -e "$target/.whole" ] && return
    say "making the Debian tree of $name (about a minute)"
    rm -rf "$target"
    mkdir -p "$CACHE/trees"
    mmdebstrap --quiet --variant=minbase --mode=root --format=directory --include="$packages" \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/info/*' \
        --essential-hook='mkdir -p "$1/etc/postgresql-common"; echo "create_main_cluster = false" >"$1/etc/postgresql-common/createcluster.conf"; echo "postgres:x:999:" >>"$1/etc/group"; echo "postgres:x:999:999::/var/lib/postgresql:/bin/sh" >>"$1/etc/passwd"' \
        bookworm "$target" >"$LOGS/tree-$name.log" 2>&1 || die "the tree of $name could not be made. Read $LOGS/tree-$name.log."
    rm -rf "$target"/var/cache/apt/* "$target"/var/lib/apt/lists/*
    touch "$target/.whole"
}

# layer TREE PATHS: a tar that is the same for the same files.
layer() {
    local from=$1 into=$2
    shift 2
    tar -C "$from" --sort=name --mtime=@0 --numeric-owner --exclude='./dev/*' --exclude='./proc/*' --exclude='./sys/*' \
        --exclude=./.whole -cf "$into" "$@"
}

has_image() { inside curl -fsS -o /dev/null -H 'Accept: application/vnd.oci.image.manifest.v1+json' \
    "http://$REGISTRY/v2/$1/manifests/$2" 2>/dev/null; }

push() { inside skopeo copy --quiet --dest-tls-verify=false "oci:$1" "docker://$REGISTRY/$2"; }

images() {
    local work
    work=$(mktemp -d)
    if ! has_image python 3; then
        tree python python3-minimal,libpython3-stdlib,ca-certificates
        ln -sf python3 "$CACHE/trees/python/usr/bin/python"
        layer "$CACHE/trees/python" "$work/python.tar" .
        umoci init --layout "$work/python" && umoci new --image "$work/python:3"
        umoci raw add-layer --image "$work/python:3" "$work/python.tar"
        umoci config --image "$work/python:3" --config.user 65532:65532 --config.workingdir /app \
            --config.env PATH=/usr/local/bin:/usr/bin:/bin --config.env LANG=C.UTF-8 --config.env PYTHONUNBUFFERED=1
        push "$work/python:3" python:3
    fi
    if ! has_image postgres 15; then
        tree postgres postgresql-15
        install -m 755 "$HERE/images/postgres-start.sh" "$CACHE/trees/postgres/usr/local/bin/postgres-start"
        ln -sf /usr/lib/postgresql/15/bin/pg_isready "$CACHE/trees/postgres/usr/local/bin/pg_isready"
        install -d -o 999 -g 999 -m 700 "$CACHE/trees/postgres/var/lib/postgresql" "$CACHE/trees/postgres/var/lib/preview"
        layer "$CACHE/trees/postgres" "$work/postgres.tar" .
        umoci init --layout "$work/postgres" && umoci new --image "$work/postgres:15"
        umoci raw add-layer --image "$work/postgres:15" "$work/postgres.tar"
        umoci config --image "$work/postgres:15" --config.user 999:999 --config.entrypoint /usr/local/bin/postgres-start \
            --config.env PATH=/usr/local/bin:/usr/lib/postgresql/15/bin:/usr/bin:/bin --config.env LANG=C.UTF-8 \
            --config.volume /var/lib/postgresql/data --config.stopsignal SIGINT
        push "$work/postgres:15" postgres:15
    fi
    rm -rf "$work"
}

# seed NAME DUMP.SQL: the postgres image with that dump already restored in it, as NAME:TAG, TAG the dump's hash; printed.
seed() {
    local name=$1 dump=$2 tag work root
    tag=$(sha256sum "$dump" | cut -c1-12)
    if ! has_image "$name" "$tag"; then
        images >&2
        work=$(mktemp -d)
        root=$CACHE/trees/postgres
        mkdir -p "$root/seed" "$root/dev"
        cp "$dump" "$root/seed/seed.sql"
        [ -e "$root/dev/null" ] || mknod -m 666 "$root/dev/null" c 1 3
        [ -e "$root/dev/urandom" ] || mknod -m 666 "$root/dev/urandom" c 1 9
        chroot --userspec=999:999 "$root" env -i PATH=/usr/bin:/bin LANG=C.UTF-8 INIT_ONLY=1 \
            PGDATA=/var/lib/preview/pgdata /usr/local/bin/postgres-start >&2
        layer "$root" "$work/data.tar" ./var/lib/preview
        rm -rf "$root/seed" "$root/var/lib/preview/pgdata"
        inside skopeo copy --quiet --src-tls-verify=false "docker://$REGISTRY/postgres:15" "oci:$work/image:$tag"
        umoci raw add-layer --image "$work/image:$tag" "$work/data.tar"
        umoci config --image "$work/image:$tag" --config.env PGDATA=/var/lib/preview/pgdata
        push "$work/image:$tag" "$name:$tag"
        rm -rf "$work"
    fi
    say "$REGISTRY/$name:$tag"
}

# Images without a Docker daemon, in the cluster's registry. Two bases made of Debian's packages, `python:3` and
# `postgres:15`, for any user but root; a base plus a folder; a database with a dump already in it. Sourced by `cluster`.

push() { inside python3 "$HERE/images/push.py" --registry "$REGISTRY" "$@"; }
has_image() {
    inside curl -fsS -o /dev/null -H 'Accept: application/vnd.oci.image.manifest.v1+json' \
        "http://$REGISTRY/v2/$1/manifests/$2" 2>/dev/null
}

# layer NAME FOLDER TAR-ARGUMENTS...: $CACHE/layers/NAME.tar.gz, the same bytes for the same files. Never half of one.
layer() {
    local into=$CACHE/layers/$1 from=$2
    shift 2
    tar -C "$from" --sort=name --mtime=@0 --numeric-owner -c "$@" | gzip -n -4 >"$into.$$"
    mv "$into.$$" "$into.tar.gz"
}

# tree NAME PACKAGES PASSWD-LINE: a Debian tree of these packages, kept in the cache.
tree() {
    local name=$1 packages=$2 user=$3 target=$CACHE/trees/$1
    [ ! -e "$target.whole" ] || return 0
    say "making the Debian tree of $name (about a minute)" >&2
    rm -rf "$target"
    mkdir -p "$CACHE/trees"
    mmdebstrap --quiet --variant=minbase --mode=root --format=directory --include="$packages" \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/info/*' \
        --essential-hook="mkdir -p \$1/etc/postgresql-common
            echo create_main_cluster = false >\$1/etc/postgresql-common/createcluster.conf
            echo $user >>\$1/etc/passwd; echo $user | awk -F: '{print \$1\":x:\"\$4\":\"}' >>\$1/etc/group" \
        bookworm "$target" >"$CACHE/logs/tree-$name.log" 2>&1 || die "the tree of $name could not be made. Read $CACHE/logs/tree-$name.log."
    rm -rf "$target"/var/cache/apt/* "$target"/var/lib/apt/lists/* "$target"/var/log/*
    touch "$target.whole"
}

WITHOUT="--exclude=./dev/* --exclude=./proc/* --exclude=./sys/*"

images() {
    local root=$CACHE/trees
    if ! has_image python 3; then
        if [ ! -e "$CACHE/layers/python3.tar.gz" ]; then
            tree python python3-minimal,libpython3-stdlib,ca-certificates app:x:65532:65532::/app:/bin/sh
            ln -sf python3 "$root/python/usr/bin/python"
            # Bytecode that holds whatever the time of its source: a layer sets all times to 0, and each start of a pod
            # would compile a hundred modules.
            chroot "$root/python" /usr/bin/python3 -m compileall -q -f --invalidation-mode unchecked-hash /usr/lib/python3.11
            layer python3 "$root/python" $WITHOUT .
        fi
        push --layer "$CACHE/layers/python3.tar.gz" python:3 --config '{"User": "65532:65532", "WorkingDir": "/app", "Env":
            {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1"}}'
    fi
    if ! has_image postgres 15; then
        if [ ! -e "$CACHE/layers/postgres.tar.gz" ]; then
            tree postgres postgresql-15 postgres:x:999:999::/var/lib/postgresql:/bin/sh
            ln -sf ../../lib/postgresql/15/bin/pg_isready "$root/postgres/usr/local/bin/pg_isready"
            install -d -o 999 -g 999 -m 700 "$root/postgres/var/lib/postgresql"{,/data} "$root/postgres/var/lib/preview"
            # Without the compiler for queries, half of the tree.
            layer postgres "$root/postgres" $WITHOUT --exclude='*/libLLVM*' --exclude='*/libz3.*' --exclude='*/llvmjit*' \
                --exclude='*/15/lib/bitcode' .
        fi
        start_script
        push --layer "$CACHE/layers/postgres.tar.gz" --layer "$CACHE/layers/postgres-start.tar.gz" postgres:15 --config '{
            "User": "999:999", "Entrypoint": ["/usr/local/bin/postgres-start"], "StopSignal": "SIGINT",
            "Volumes": {"/var/lib/postgresql/data": {}}, "ExposedPorts": {"5432/tcp": {}},
            "Env": {"PATH": "/usr/local/bin:/usr/lib/postgresql/15/bin:/usr/bin:/bin", "LANG": "C.UTF-8",
                    "PGDATA": "/var/lib/postgresql/data"}}'
    fi
}

# A layer of its own, so that a changed script does not make the large one again.
start_script() {
    local name=${1:-postgres}
    layer "$name-start" "$HERE/images" --owner=0 --group=0 --mode=755 \
        --transform="s#.*#usr/local/bin/$name-start#" "$name-start.sh"
}

# What previews need beside PostgreSQL, as the stock images are as far as the chart knows them.
needs_images() {
    need_image redis 7 redis-server redis /data '"Cmd": ["redis-server"]'
    need_image mariadb 10.11 mariadb-server mysql /var/lib/mysql
    need_image rabbitmq 3.13 rabbitmq-server rabbitmq /var/lib/rabbitmq # Debian's 3.10, under the tag that is asked for
    mailpit_image
}

# What a manifest of a team's own brings: Mailpit, one static program. Its module has no pages; mail and the API are whole.
mailpit_image() {
    ! has_image mailpit v1.27 || return 0
    build mailpit "$BIN"
    exec 8>&-
    local work
    work=$(mktemp -d)
    install -m 755 "$BIN/mailpit" "$work"
    install -d -m 1777 "$work/tmp" # its mails
    layer mailpit "$work" --owner=0 --group=0 mailpit tmp
    rm -rf "$work"
    push --layer "$CACHE/layers/mailpit.tar.gz" --config '{"Entrypoint": ["/mailpit"]}' mailpit:v1.27
}

# need_image NAME TAG PACKAGE USER DATA [COMMAND]: NAME:TAG of that package for uid 999; its start script, if it has one.
need_image() {
    local name=$1 tag=$2 package=$3 user=$4 data=$5 command=${6:-} layers=()
    ! has_image "$name" "$tag" || return 0
    if [ ! -e "$CACHE/layers/$name.tar.gz" ]; then
        tree "$name" "$package" "$user:x:999:999::$data:/bin/sh"
        install -d -o 999 -g 999 -m 700 "$CACHE/trees/$name$data"
        layer "$name" "$CACHE/trees/$name" $WITHOUT .
    fi
    layers=(--layer "$CACHE/layers/$name.tar.gz")
    if [ -e "$HERE/images/$name-start.sh" ]; then
        start_script "$name"
        layers+=(--layer "$CACHE/layers/$name-start.tar.gz")
        command="\"Entrypoint\": [\"/usr/local/bin/$name-start\"]"
    fi
    push "${layers[@]}" "$name:$tag" --config "{\"User\": \"999:999\", $command,
        \"Env\": {\"PATH\": \"/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\", \"LANG\": \"C.UTF-8\"}}"
}

# seed NAME DUMP.SQL: postgres:15 with that dump in it, outside of the declared volume, whose content would be copied for
# each container. The user and the database are `app`. Prints the reference.
seed() {
    local name=$1 dump=$2 hash work
    hash=$(cat "$dump" "$HERE/images/postgres-start.sh" | sha256sum | cut -c1-12)
    images >&2
    if [ ! -e "$CACHE/layers/seed-$hash.tar.gz" ]; then
        tree postgres postgresql-15 postgres:x:999:999::/var/lib/postgresql:/bin/sh
        work=$(mktemp -d "$CACHE/seed.XXXXXX") # beside the tree: /tmp may be too small for a database; removed below
        mkdir "$work/upper" "$work/work" "$work/root"
        # In a mount namespace of its own: its mounts end with it, and the tree stays as it is.
        unshare --mount bash -euc 'tree=$1 work=$2 dump=$3 script=$4 root=$2/root
            mount -t overlay overlay -o "lowerdir=$tree,upperdir=$work/upper,workdir=$work/work" "$root"
            mount --bind /dev "$root/dev"
            mount -t tmpfs tmpfs "$root/dev/shm"
            install -D -m 644 "$dump" "$root/docker-entrypoint-initdb.d/seed.sql"
            install -m 755 "$script" "$root/usr/local/bin/postgres-start"
            chroot --userspec=999:999 "$root" /usr/bin/env -i PATH=/usr/bin:/bin LANG=C.UTF-8 INIT_ONLY=1 POSTGRES_USER=app \
                PGDATA=/var/lib/preview/pgdata /usr/local/bin/postgres-start' \
            - "$CACHE/trees/postgres" "$work" "$dump" "$HERE/images/postgres-start.sh" >"$CACHE/logs/seed-$name.log" 2>&1 ||
            { rm -rf "$work"; die "$dump could not be restored. Read $CACHE/logs/seed-$name.log."; }
        layer "seed-$hash" "$work/upper" ./var/lib/preview
        rm -rf "$work"
    fi
    push --base postgres:15 --layer "$CACHE/layers/seed-$hash.tar.gz" "$name:$hash" \
        --config '{"Env": {"PGDATA": "/var/lib/preview/pgdata"}}'
}

# image NAME:TAG BASE DIR [COMMAND...]: BASE and the files of DIR at /app, which COMMAND is run in. What DIR's
# requirements.txt names is installed too, once for each content of that file. Prints the reference.
image() {
    local name=$1 base=$2 dir=$3 work config packages layers=()
    shift 3
    [ -d "$dir" ] || die "there is no folder $dir."
    [ "$base" != python:3 ] || images >&2
    if [ -e "$dir/requirements.txt" ]; then
        packages=$(requirements "$dir/requirements.txt")
        layers+=(--layer "$packages")
    fi
    work=app-$$
    layer "$work" "$dir" --owner=0 --group=0 --mode=u=rwX,go=rX --exclude=__pycache__ --exclude=.git \
        --transform='s#^\.#app#' .
    config=$(python3 -c 'import json, sys; print(json.dumps({"Cmd": sys.argv[1:], "WorkingDir": "/app"}))' "$@")
    [ $# -gt 0 ] || config='{"WorkingDir": "/app"}'
    push --base "$base" "${layers[@]}" --layer "$CACHE/layers/$work.tar.gz" --config "$config" "$name"
    rm -f "$CACHE/layers/$work.tar.gz"
}

# Wheels for the image's Python, not for the one that runs here.
requirements() {
    local hash work
    hash=$(sha256sum <"$1" | cut -c1-12)
    if [ ! -e "$CACHE/layers/requirements-$hash.tar.gz" ]; then
        work=$(mktemp -d)
        "$(pip_python)" -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-compile --no-warn-conflicts \
            --python-version 3.11 --implementation cp --platform "manylinux2014_$(uname -m)" --only-binary=:all: \
            --target "$work" -r "$1" >&2 || die "the packages of $1 could not be fetched."
        layer "requirements-$hash" "$work" --owner=0 --group=0 --mode=u=rwX,go=rX --exclude=./bin \
            --transform='s#^\.#usr/local/lib/python3.11/dist-packages#' .
        rm -rf "$work"
    fi
    echo "$CACHE/layers/requirements-$hash.tar.gz"
}

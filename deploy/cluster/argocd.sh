# Argo CD's components as processes, each under its own ServiceAccount, so that policies bite. Sourced by `cluster`.

argocd_up() {
    # Another version than the one that runs takes over.
    [ "$(cat "$RUN/argocd/version" 2>/dev/null)" = "$ARGOCD" ] || argocd_down
    mkdir -p "$RUN/argocd/tls" "$RUN/argocd/ssh" "$RUN/argocd/gpg/keys" "$RUN/argocd/gpg/home"
    [ -e "$RUN/argocd/version" ] || argocd_resources
    echo "$ARGOCD" >"$RUN/argocd/version"
    start argocd-redis redis-server --bind 127.0.0.1 --port 6379 --save '' --appendonly no
    argocd repo-server --redis 127.0.0.1:6379 --address 127.0.0.1 --metrics-port 8184
    argocd application-controller --redis 127.0.0.1:6379 --repo-server 127.0.0.1:8081 --metrics-port 8185
    argocd applicationset-controller --argocd-repo-server 127.0.0.1:8081 --metrics-addr 127.0.0.1:8186 \
        --probe-addr 127.0.0.1:8187 --webhook-addr 127.0.0.1:7000
    argocd server --redis 127.0.0.1:6379 --repo-server 127.0.0.1:8081 --insecure --disable-auth \
        --address 127.0.0.1 --port 8090 --metrics-port 8188
    local port
    for port in 8184/healthz 8185/healthz 8186/metrics 8090/healthz; do
        until_true 60 "Argo CD answers on port $port" inside curl -fsS "http://127.0.0.1:$port"
    done
}

argocd_resources() {
    local part file from=$BIN/argocd-$ARGOCD/manifests
    kube create namespace argocd --dry-run=client -o yaml | kube apply -f - >/dev/null
    kube apply --server-side --force-conflicts -k "$from/crds" >/dev/null
    until_true 30 "Argo CD's resources are established" kube wait --for=condition=Established --timeout=5s \
        crd/applications.argoproj.io crd/applicationsets.argoproj.io crd/appprojects.argoproj.io
    kube apply --server-side --force-conflicts -k "$from/cluster-rbac" >/dev/null
    kube apply --server-side --force-conflicts --namespace argocd -k "$from/base/config" >/dev/null
    for part in application-controller applicationset-controller repo-server server; do
        for file in "$from"/base/*/argocd-$part-{sa,role,rolebinding}.yaml; do
            [ ! -e "$file" ] || kube apply --server-side --force-conflicts --namespace argocd -f "$file" >/dev/null
        done
    done
    argocd_defaults
}

# argocd PART FLAGS...: one component with a token of its own ServiceAccount.
argocd() {
    local part=$1
    shift
    ! running "argocd-$part" || return 0
    kubeconfig "$RUN/argocd/$part.kubeconfig" "$(kube create token "argocd-$part" -n argocd --duration=8760h)" argocd
    start "argocd-$part" env KUBECONFIG="$RUN/argocd/$part.kubeconfig" ARGOCD_BINARY_NAME="argocd-$part" \
        ARGOCD_FAKE_IN_CLUSTER=true ARGOCD_TLS_DATA_PATH="$RUN/argocd/tls" ARGOCD_SSH_DATA_PATH="$RUN/argocd/ssh" \
        ARGOCD_GNUPGHOME="$RUN/argocd/gpg/home" ARGOCD_GPG_DATA_PATH="$RUN/argocd/gpg/keys" ARGOCD_GPG_ENABLED=false \
        TMPDIR="$RUN/argocd" HOME="$RUN/argocd" cmd "$@"
}

argocd_defaults() {
    matches . kube get secret -n argocd argocd-secret -o jsonpath='{.data.server\.secretkey}' ||
        kube patch secret -n argocd argocd-secret --type merge \
            -p "{\"stringData\": {\"server.secretkey\": \"$(od -An -tx1 -N32 /dev/urandom | tr -d ' \n')\"}}" >/dev/null
    kube apply -f - >/dev/null <<YAML
apiVersion: argoproj.io/v1alpha1
kind: AppProject
metadata: {name: default, namespace: argocd}
spec: {sourceRepos: ["*"], destinations: [{namespace: "*", server: "*"}], clusterResourceWhitelist: [{group: "*", kind: "*"}]}
YAML
}

argocd_down() {
    local part
    for part in server applicationset-controller application-controller repo-server redis; do stop "argocd-$part"; done
    rm -f "$RUN/argocd/version"
}

# The same cluster on kind, for a Linux machine with Docker: KIND=1. Sourced by `cluster`. Its node gets the same address,
# and the registry shares the node's network, so everything else (run, images, image, seed, tests) is as without Docker.

KIND_IMAGE=${KIND_IMAGE:-kindest/node:v1.34.0}

kind_up() {
    local tool
    for tool in docker kind kubectl helm ip nsenter; do
        command -v "$tool" >/dev/null || die "KIND=1 needs $tool."
    done
    mkdir -p "$RUN" "$LOGS"
    docker network inspect greenroom >/dev/null 2>&1 ||
        docker network create --subnet 198.19.255.0/24 --gateway 198.19.255.254 greenroom >/dev/null
    matches '^greenroom$' kind get clusters || kind_node
    [ -e /run/netns/$NETNS ] || ip netns attach $NETNS "$(docker inspect -f '{{.State.Pid}}' greenroom-control-plane)"
    [ -n "$(docker ps -q -f name='^greenroom-registry$')" ] ||
        docker run -d --rm --name greenroom-registry --network container:greenroom-control-plane registry:2 >/dev/null
    kind get kubeconfig --name greenroom | sed "s#server: .*#server: https://$NODE:6443#" >"$KUBECONFIG"
    chmod 600 "$KUBECONFIG"
    kind_traefik
    kube create namespace argocd --dry-run=client -o yaml | kube apply -f - >/dev/null
    curl -fsSL "https://raw.githubusercontent.com/argoproj/argo-cd/v$ARGOCD/manifests/install.yaml" |
        kube apply --server-side --force-conflicts -n argocd -f - >/dev/null
    kube wait -n argocd --for=condition=Available deployment --all --timeout=300s >/dev/null
    kind_status
}

kind_status() { kube get nodes,pods -A; }

kind_node() {
    KIND_EXPERIMENTAL_DOCKER_NETWORK=greenroom kind create cluster --name greenroom --image "$KIND_IMAGE" \
        --kubeconfig "$RUN/kind.kubeconfig" --config - <<YAML
kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
networking: {podSubnet: $PODS, serviceSubnet: $SERVICES}
containerdConfigPatches:
- |-
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "/etc/containerd/certs.d"
YAML
    docker exec -i greenroom-control-plane sh -c "mkdir -p /etc/containerd/certs.d/$REGISTRY &&
        cat >/etc/containerd/certs.d/$REGISTRY/hosts.toml" <<TOML
[host."http://$REGISTRY"]
TOML
    matches "^$NODE\$" docker inspect -f '{{.NetworkSettings.Networks.greenroom.IPAddress}}' greenroom-control-plane ||
        die "the node did not get the address $NODE; is something else in Docker's network greenroom?"
}

kind_traefik() {
    kube apply -f - >/dev/null <<YAML
apiVersion: v1
kind: ServiceAccount
metadata: {name: traefik, namespace: kube-system}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: traefik}
rules:
- {apiGroups: [""], resources: [services, secrets, nodes, namespaces], verbs: [get, list, watch]}
- {apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [list, watch]}
- {apiGroups: [networking.k8s.io], resources: [ingresses, ingressclasses], verbs: [get, list, watch]}
- {apiGroups: [networking.k8s.io], resources: [ingresses/status], verbs: [update]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: traefik}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: traefik}
subjects: [{kind: ServiceAccount, name: traefik, namespace: kube-system}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: traefik, namespace: kube-system}
spec:
  selector: {matchLabels: {app: traefik}}
  strategy: {type: Recreate}
  template:
    metadata: {labels: {app: traefik}}
    spec:
      serviceAccountName: traefik
      hostNetwork: true
      tolerations: [{operator: Exists}]
      containers:
      - name: traefik
        image: traefik:v3.6.7
        args:
        - --entrypoints.web.address=$NODE:80
        - --providers.kubernetesingress=true
        - --providers.kubernetesingress.ingressendpoint.ip=$NODE
        - --global.checknewversion=false
        - --global.sendanonymoususage=false
---
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: traefik, annotations: {ingressclass.kubernetes.io/is-default-class: "true"}}
spec: {controller: traefik.io/ingress-controller}
YAML
}

kind_down() {
    [ ! -e /run/netns/$NETNS ] || ip netns delete $NETNS
    docker rm -f greenroom-registry >/dev/null 2>&1 || true
    kind delete cluster --name greenroom
    docker network rm greenroom >/dev/null 2>&1 || true
    rm -rf --one-file-system "$RUN"
}

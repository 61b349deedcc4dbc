# One real node: registry, containerd, kubelet, kube-proxy. Sourced by `cluster`.

registry_up() {
    mkdir -p "$RUN/registry"
    cat >"$RUN/registry.yml" <<YAML
version: 0.1
storage: {filesystem: {rootdirectory: $RUN/registry}, delete: {enabled: true}}
http: {addr: "$REGISTRY"}
YAML
    start registry docker-registry serve "$RUN/registry.yml"
    until_true 20 "the registry answers" inside curl -fsS "http://$REGISTRY/v2/"
    inside skopeo inspect --tls-verify=false "docker://$REGISTRY/pause:1" >/dev/null 2>&1 || pause_image
}

# The sandbox image: one static program that sleeps, see go/pause.
pause_image() {
    local work
    work=$(mktemp -d)
    go_toolchain
    (cd "$HERE/go/pause" && CGO_ENABLED=0 GOTOOLCHAIN=local "$GO" build -trimpath -ldflags "-s -w" -o "$work/pause" .)
    tar -C "$work" --sort=name --mtime=@0 --numeric-owner --owner=0 --group=0 -cf "$work/layer.tar" pause
    umoci init --layout "$work/image" && umoci new --image "$work/image:1"
    umoci raw add-layer --image "$work/image:1" "$work/layer.tar"
    umoci config --image "$work/image:1" --config.entrypoint /pause
    inside skopeo copy --quiet --dest-tls-verify=false "oci:$work/image:1" "docker://$REGISTRY/pause:1"
    rm -rf "$work"
}

containerd_up() {
    mkdir -p "$RUN/containerd/root" "$RUN/containerd/state" "$RUN/cni/conf" "$RUN/cni/state"
    cat >"$RUN/cni/conf/10-bridge.conflist" <<JSON
{"cniVersion": "1.0.0", "name": "pods", "plugins": [
  {"type": "bridge", "bridge": "pods0", "isGateway": true, "hairpinMode": true, "ipMasq": false,
   "ipam": {"type": "host-local", "dataDir": "$RUN/cni/state", "ranges": [[{"subnet": "$PODS"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
JSON
    # restrict_oom_score_adj: machines without CAP_SYS_RESOURCE cannot start a sandbox otherwise.
    cat >"$RUN/containerd/config.toml" <<TOML
version = 2
root = "$RUN/containerd/root"
state = "$RUN/containerd/state"
[grpc]
address = "$RUN/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "$REGISTRY/pause:1"
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "overlayfs"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "$RUN/cni/conf"
[plugins."io.containerd.grpc.v1.cri".registry.mirrors."$REGISTRY"]
endpoint = ["http://$REGISTRY"]
TOML
    start containerd containerd --config "$RUN/containerd/config.toml" --log-level warn
    until_true 20 "containerd answers" ctr --address "$RUN/containerd/containerd.sock" version
}

node_up() {
    registry_up
    containerd_up
    mkdir -p "$RUN/kubelet"
    cat >"$RUN/kubelet/config.yaml" <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}}
authorization: {mode: Webhook}
cgroupDriver: cgroupfs
failCgroupV1: false
failSwapOn: false
clusterDNS: [$CLUSTER_DNS]
clusterDomain: cluster.local
containerRuntimeEndpoint: unix://$RUN/containerd/containerd.sock
makeIPTablesUtilChains: true
resolvConf: $RUN/kubelet/resolv.conf
evictionHard: {memory.available: 50Mi, nodefs.available: 1%, imagefs.available: 1%}
syncFrequency: 1s
maxPods: 250
YAML
    : >"$RUN/kubelet/resolv.conf"
    start kubelet kubelet --config "$RUN/kubelet/config.yaml" --kubeconfig "$KUBECONFIG" --root-dir "$RUN/kubelet" \
        --cert-dir "$RUN/kubelet/pki" --hostname-override $NODE_NAME --node-ip $NODE
    start kube-proxy kube-proxy --kubeconfig "$KUBECONFIG" --proxy-mode iptables --cluster-cidr $PODS \
        --hostname-override $NODE_NAME --conntrack-max-per-core 0
    until_true 90 "the node is ready" kube wait --for=condition=Ready "node/$NODE_NAME" --timeout=1s
}

node_down() {
    stop kubelet
    stop kube-proxy
    if running containerd; then
        local ctr="ctr --address $RUN/containerd/containerd.sock --namespace k8s.io"
        for task in $($ctr tasks list -q); do $ctr tasks kill --signal KILL "$task" >/dev/null 2>&1; done
        sleep 0.5
        for task in $($ctr tasks list -q); do $ctr tasks delete --force "$task" >/dev/null 2>&1; done
        for container in $($ctr containers list -q); do $ctr containers delete "$container" >/dev/null 2>&1; done
    fi
    stop containerd
    stop registry
    # Shims outlive containerd; these are ours by the socket that they were given.
    for shim in $(pgrep -f "containerd-shim.*$RUN/containerd" || true); do kill -KILL "$shim" 2>/dev/null || true; done
    grep -o " $RUN/[^ ]*" /proc/mounts | sort -r | xargs -r -n1 umount -l 2>/dev/null || true
    find /sys/fs/cgroup -depth -type d -path '*/kubepods*' -exec rmdir {} + 2>/dev/null || true
}

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
    has_image pause 1 || pause_image
}

# The sandbox image: one static program that sleeps, see go/pause.
pause_image() {
    if [ ! -e "$CACHE/layers/pause.tar.gz" ]; then
        go_toolchain
        mkdir -p "$CACHE/layers/pause"
        (cd "$HERE/go/pause" && CGO_ENABLED=0 GOTOOLCHAIN=local "$GO" build -trimpath -ldflags "-s -w" \
            -o "$CACHE/layers/pause/" .)
        layer pause "$CACHE/layers/pause" --owner=0 --group=0 pause
        rm -r "$CACHE/layers/pause"
    fi
    push --layer "$CACHE/layers/pause.tar.gz" --config '{"Entrypoint": ["/pause"]}' pause:1 >/dev/null
}

containerd_up() {
    mkdir -p "$RUN/containerd/root" "$RUN/containerd/state" "$RUN/cni/conf" "$RUN/cni/state"
    cat >"$RUN/cni/conf/10-bridge.conflist" <<JSON
{"cniVersion": "1.0.0", "name": "$NAME", "plugins": [
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
netns_mounts_under_state_dir = true
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "overlayfs"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false
Root = "$RUN/containerd/runc"
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
    containerd_up
    mkdir -p "$RUN/kubelet"
    cat >"$RUN/kubelet/config.yaml" <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $RUN/pki/kubelet-client.crt}}
authorization: {mode: Webhook}
cgroupDriver: cgroupfs
cgroupRoot: /$NAME
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
podLogsDir: $LOGS/pods
volumePluginDir: $RUN/kubelet/volume-plugins
YAML
    : >"$RUN/kubelet/resolv.conf"
    start kubelet kubelet --config "$RUN/kubelet/config.yaml" --kubeconfig "$KUBECONFIG" --root-dir "$RUN/kubelet" \
        --cert-dir "$RUN/kubelet/pki" --hostname-override $NODE_NAME --node-ip $NODE
    start kube-proxy kube-proxy --kubeconfig "$KUBECONFIG" --proxy-mode iptables --cluster-cidr $PODS \
        --hostname-override $NODE_NAME --conntrack-max-per-core 0
    until_true 90 "the node is ready" kube wait --for=condition=Ready "node/$NODE_NAME" --timeout=1s
}

# The kubelet first, so that no container is started again; then the containers; their shims, which outlive containerd,
# go with the cgroup.
node_down() {
    local file
    stop kubelet
    stop kube-proxy
    [ ! -d $BORN/kubepods ] || kill_members $BORN/kubepods
    stop containerd
    stop registry
    cgroup_down
    # What containerd, its network plugins and the kubelet keep outside of $RUN, whatever they are told.
    for file in "$RUN"/containerd/state/io.containerd.runtime.v2.task/*/*/address; do
        [ -e "$file" ] || break
        rm -f "$(sed 's#^unix://##' "$file")"
    done
    for file in $(networked); do rm -f /var/lib/cni/results/*"-$file-"*; done
    [ ! -d "$RUN/kubelet" ] || rm -f /var/lib/kubelet/device-plugins/kubelet.sock
    find /var/log/containers -lname "$LOGS/*" -delete 2>/dev/null || true
    for file in /run/containerd/s /run/containerd /var/lib/cni/results /var/lib/cni /var/lib/kubelet/device-plugins \
        /var/lib/kubelet /var/log/containers /var/log/pods; do
        [ ! -d "$file" ] || rmdir --ignore-fail-on-non-empty "$file"
    done
    mounts | sort -r | xargs -r -n1 umount 2>/dev/null || true
    mounts | sort -r | xargs -r -n1 umount -l 2>/dev/null || true
}

# The containers of which the network plugins remember something; one that was ending at that moment is among them.
networked() {
    find /var/lib/cni/results -regextype posix-extended -regex ".*/$NAME-[0-9a-f]{64}-eth0" 2>/dev/null |
        sed "s#.*/$NAME-##; s#-eth0##"
}

mounts() { cut -d' ' -f2 /proc/mounts | grep "^$RUN/" || true; }

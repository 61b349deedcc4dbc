# etcd, apiserver, controller manager, scheduler. Sourced by `cluster`.

control_plane_up() {
    mkdir -p "$RUN/pki" "$RUN/etcd"
    if [ ! -e "$RUN/pki/service-account.key" ]; then
        openssl genrsa -out "$RUN/pki/service-account.key" 2048 2>/dev/null
        openssl rsa -in "$RUN/pki/service-account.key" -pubout -out "$RUN/pki/service-account.pub" 2>/dev/null
        # What the apiserver shows to the kubelet, for logs and exec: its own authority.
        openssl req -x509 -newkey rsa:2048 -nodes -days 365 -subj /O=system:masters/CN=apiserver \
            -addext extendedKeyUsage=clientAuth -keyout "$RUN/pki/kubelet-client.key" \
            -out "$RUN/pki/kubelet-client.crt" 2>/dev/null
        local token
        token=$(od -An -tx1 -N16 /dev/urandom | tr -d ' \n')
        (umask 077; echo "$token,admin,admin,system:masters" >"$RUN/pki/tokens.csv")
        kubeconfig "$KUBECONFIG" "$token"
    fi
    start etcd server --data-dir "$RUN/etcd" --unsafe-no-fsync --log-level warn \
        --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
        --listen-peer-urls http://127.0.0.1:2380
    start apiserver kube-apiserver --etcd-servers http://127.0.0.1:2379 --authorization-mode RBAC \
        --token-auth-file "$RUN/pki/tokens.csv" --cert-dir "$RUN/pki" --advertise-address $NODE --bind-address $NODE \
        --service-cluster-ip-range $SERVICES --service-account-issuer https://kubernetes.default.svc \
        --service-account-key-file "$RUN/pki/service-account.pub" \
        --service-account-signing-key-file "$RUN/pki/service-account.key" --allow-privileged \
        --kubelet-client-certificate "$RUN/pki/kubelet-client.crt" --kubelet-client-key "$RUN/pki/kubelet-client.key" \
        --kubelet-preferred-address-types InternalIP
    until_true 60 "the apiserver answers" kube get --raw /readyz
    start controller-manager kube-controller-manager --kubeconfig "$KUBECONFIG" --use-service-account-credentials \
        --service-account-private-key-file "$RUN/pki/service-account.key" --root-ca-file "$RUN/pki/apiserver.crt" \
        --cluster-cidr $PODS --leader-elect=false --bind-address 127.0.0.1
    start scheduler kube-scheduler --kubeconfig "$KUBECONFIG" --leader-elect=false --bind-address 127.0.0.1
}

control_plane_down() {
    local part
    for part in scheduler controller-manager apiserver etcd; do stop $part; done
}

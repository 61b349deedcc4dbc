# CoreDNS on the node, reached by pods through a Service without selector. Sourced by `cluster`.

dns_up() {
    cat >"$RUN/Corefile" <<COREFILE
.:5353 {
    bind $NODE
    kubernetes cluster.local {
        endpoint https://$NODE:6443
        kubeconfig $KUBECONFIG
    }
}
COREFILE
    start coredns coredns -conf "$RUN/Corefile"
    kube apply -f - >/dev/null <<YAML
apiVersion: v1
kind: Service
metadata: {name: kube-dns, namespace: kube-system}
spec:
  clusterIP: $CLUSTER_DNS
  ports: [{name: dns, port: 53, protocol: UDP, targetPort: 5353}, {name: dns-tcp, port: 53, targetPort: 5353}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: kube-dns-node, namespace: kube-system, labels: {kubernetes.io/service-name: kube-dns}}
addressType: IPv4
ports: [{name: dns, port: 5353, protocol: UDP}, {name: dns-tcp, port: 5353, protocol: TCP}]
endpoints: [{addresses: ["$NODE"], conditions: {ready: true}}]
YAML
}

dns_down() { stop coredns; }

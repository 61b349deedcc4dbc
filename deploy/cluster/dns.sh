# CoreDNS on the node, reached by pods through a Service without selector. Sourced by `cluster`.

# Besides the cluster's own names pods find the node by its name and every host below .test, where the Ingresses are. Any
# other name does not exist, and the answer comes at once: nothing leaves this network.
dns_up() {
    cat >"$RUN/zone" <<ZONE
. 5 IN SOA $NODE_NAME. root.$NODE_NAME. 1 60 60 60 5
. 5 IN NS $NODE_NAME.
$NODE_NAME. 5 IN A $NODE
*.test. 5 IN A $NODE
ZONE
    cat >"$RUN/Corefile" <<COREFILE
.:5353 {
    bind $NODE
    kubernetes cluster.local {
        endpoint https://$NODE:6443
        kubeconfig $KUBECONFIG
    }
    file $RUN/zone .
}
COREFILE
    start coredns coredns -conf "$RUN/Corefile"
    [ ! -e "$RUN/dns.applied" ] || return 0
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
    touch "$RUN/dns.applied"
}

dns_down() { stop coredns; }

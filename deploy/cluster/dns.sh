# CoreDNS on the node, reached by pods through a Service without selector. Sourced by `cluster`.

# Pods also find the node by its name, every line of $RUN/hosts, and each host below .test (where the Ingresses are).
# Any other name does not exist, at once: nothing leaves this network.
dns_up() {
    [ -e "$RUN/hosts" ] || echo "$NODE $NODE_NAME" >"$RUN/hosts"
    cat >"$RUN/Corefile" <<COREFILE
.:5353 {
    bind $NODE
    kubernetes cluster.local {
        endpoint https://$NODE:6443
        kubeconfig $KUBECONFIG
    }
    hosts $RUN/hosts {
        reload 1s
        fallthrough
    }
    template IN A test {
        answer "{{ .Name }} 5 IN A $NODE"
    }
    template ANY ANY {
        rcode NXDOMAIN
    }
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

# Traefik on the node, port 80. Sourced by `cluster`.

ingress_up() {
    # The published address is what makes an Ingress, and so an Application, healthy.
    start traefik traefik --entrypoints.web.address=$NODE:80 --ping=true --entrypoints.traefik.address=127.0.0.1:8082 \
        --providers.kubernetesingress=true --providers.kubernetesingress.endpoint="https://$NODE:6443" \
        --providers.kubernetesingress.token="$(cut -d, -f1 "$RUN/pki/tokens.csv")" \
        --providers.kubernetesingress.certauthfilepath="$RUN/pki/apiserver.crt" \
        --providers.kubernetesingress.ingressendpoint.ip=$NODE --global.checknewversion=false \
        --global.sendanonymoususage=false --log.level=WARN
    [ ! -e "$RUN/ingress.applied" ] || return 0
    kube apply -f - >/dev/null <<YAML
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: traefik, annotations: {ingressclass.kubernetes.io/is-default-class: "true"}}
spec: {controller: traefik.io/ingress-controller}
YAML
    touch "$RUN/ingress.applied"
}

ingress_down() { stop traefik; }

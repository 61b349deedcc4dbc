# The network: a namespace of its own, which nothing leaves. Sourced by `cluster`.

network_up() {
    [ -e /run/netns/$NETNS ] && return
    ip netns add $NETNS
    inside ip link set lo up
    inside ip link add bridge0 type bridge
    inside ip link set bridge0 up
    inside ip address add $NODE/32 dev bridge0
    # Without this route calls to service addresses fail before they are translated. There is no default route: with
    # one, each name lookup that fails takes ten seconds instead of none.
    inside ip route add 198.19.0.0/16 dev bridge0
    inside sysctl -qw net.ipv4.ip_forward=1
}

network_down() { [ ! -e /run/netns/$NETNS ] || ip netns delete $NETNS; } # its interfaces and rules go along

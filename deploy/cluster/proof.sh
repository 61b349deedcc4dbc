# What a cluster could leave behind on the machine. Sourced by `cluster`.

proof() {
    local each left=0 pids=""
    found() { say "left: $*"; left=1; }
    runs() {
        found "process $1 $2: $(tr '\0' ' ' <"/proc/$1/cmdline")"
        case "$pids " in *" $1 "*) ;; *) pids="$pids $1" ;; esac
    }
    for each in $CGROUPS; do [ ! -e "$each/$NAME" ] || found "cgroup $each/$NAME"; done
    for each in $(strays); do
        case $(readlink "$each/exe") in "$BIN"/*) runs "${each#/proc/}" "still runs" ;; esac
    done 2>/dev/null
    for each in $(networks); do runs "$each" "still runs inside the cluster's network"; done
    [ -z "$pids" ] || say "end what still runs with: kill$pids"
    [ ! -e /run/netns/$NETNS ] || found "network namespace $NETNS"
    for each in $(mounts); do found "mount $each"; done
    for each in $(networked); do found "what the network plugins remember of container $each"; done
    for each in /var/lib/kubelet/device-plugins/kubelet.sock "$RUN"; do [ ! -e "$each" ] || found "$each"; done
    for each in $(find /var/log/containers -lname "$LOGS/*" 2>/dev/null); do found "$each"; done
    for each in $(ip -o address | grep -E ' 198\.1[89]\.' | cut -d' ' -f2 | sort -u); do found "interface $each"; done
    if command -v iptables-save >/dev/null && matches ' 198\.1[89]\.' iptables-save; then
        found "firewall rules; see iptables-save"
    fi
    [ $left = 1 ] || say "nothing is left: no process, mount, interface, namespace, cgroup or firewall rule"
    return $left
}

# The processes that are not in the network of another cluster.
strays() {
    local each others=" "
    for each in /run/netns/*; do
        [ "$each" = /run/netns/$NETNS ] || [ ! -e "$each" ] || others="${others}net:[$(stat -Lc %i "$each")] "
    done
    for each in /proc/[0-9]*; do
        case $others in *" $(readlink "$each/ns/net" 2>/dev/null) "*) ;; *) echo "$each" ;; esac
    done
}

# The processes of each network that has the node's address, whatever the network is called.
networks() {
    local each inode seen=" $(readlink /proc/self/ns/net) " ours=" "
    for each in $(strays); do
        inode=$(readlink "$each/ns/net" 2>/dev/null) || continue
        case $seen in
        *" $inode "*) ;;
        *)
            seen="$seen$inode "
            if matches " $NODE/" nsenter --net="$each/ns/net" ip -o address; then ours="$ours$inode "; fi
            ;;
        esac
        case $ours in *" $inode "*) echo "${each#/proc/}" ;; esac
    done
}

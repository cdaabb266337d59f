# shellcheck shell=bash
# The Podman service of this stack, its image, and what is left of both.

STOP_SECONDS=30     # what a game server gets to save its world

podman_() {
    CONTAINERS_CONF=$VAR/conf/containers.conf podman --root "$VAR/data/podman/storage" --runroot "$RUN/podman" "$@"
}

# containers_config LINES: containers.conf with further lines for [containers]
# and the runtime.
containers_config() {
    local runtime=$1 ulimits=$2
    echo '[containers]'
    echo 'log_driver = "k8s-file"'
    # conmon begins the file anew there: a chatty game does not fill the disk.
    echo 'log_size_max = 16777216'
    [ -z "$ulimits" ] || echo "default_ulimits = [$ulimits]"
    echo '[network]'
    echo 'network_backend = "netavark"'
    echo "network_config_dir = \"$VAR/data/podman/networks\""
    echo '[engine]'
    # A lock file, not shared memory: that is one for the whole machine.
    echo 'lock_type = "file"'
    echo 'events_logger = "file"'
    # Podman takes its being empty for a reboot, so it is not kept in VAR.
    echo "tmp_dir = \"$RUN/libpod\""
    [ -z "$runtime" ] || echo "runtime = \"$runtime\""
    [ -d /run/systemd/system ] || echo 'cgroup_manager = "cgroupfs"'
}

# The limits that this machine allows. RLIMIT_NPROC counts all servers at
# once; Podman lowers its own to 32768, and containers cannot go above that.
allowed_ulimits() {
    local files processes
    files=$(ulimit -Hn)
    processes=$(ulimit -Hu)
    [ "$files" != unlimited ] || files=1048576
    [ "$processes" != unlimited ] && [ "$processes" -le 32768 ] || processes=32768
    echo "\"nofile=$files:$files\", \"nproc=$processes:$processes\""
}

container_runs() {
    podman_ run --rm --replace --name mchost-probe --network none --read-only --entrypoint /bin/busybox "$DEMO_IMAGE" true \
        </dev/null 9>&- >"$VAR/log/podman-probe.log" 2>&1
}

# Podman's own settings where they work; else what unprivileged and nested
# machines need, the least of it.
probe_containers() {
    local runtime ulimits
    for ulimits in '' "$(allowed_ulimits)"; do
        for runtime in '' runc; do
            containers_config "$runtime" "$ulimits" | write "$VAR/conf/containers.conf"
            ! container_runs || return 0
        done
    done
    tail -n 3 "$VAR/log/podman-probe.log" | sed 's/^/    /' >&2
    fail "containers do not run on this machine; see $VAR/log/podman-probe.log"
}

# The image is built when its sources have changed and loaded when the store
# has another one.
load_image() {
    local archive id
    archive=$(as_invoker images/demo/build "$DEMO_IMAGE" 9>&-) || fail "the demo image cannot be built"
    id=$(cat "$archive.id")
    [ "$(podman_ image inspect -f '{{.Id}}' "$DEMO_IMAGE" 2>/dev/null)" != "$id" ] || return 0
    say "loading the demo image"
    podman_ load -q -i "$archive" >>"$VAR/log/podman.log" 2>&1 9>&- || { last_words podman; fail "Podman cannot load $archive"; }
}

podman_answers() { [ "$(curl -fsS -m 5 --unix-socket "$RUN/podman.sock" http://d/v4.0.0/libpod/_ping)" = OK ]; }

start_podman() {
    alive podman && return
    forget_killed
    mkdir -p "$VAR/data/podman/networks"
    [ -f "$VAR/conf/containers.conf" ] || containers_config '' '' | write "$VAR/conf/containers.conf"
    load_image
    container_runs || probe_containers
    rm -f "$RUN/podman.sock"
    spawn podman env CONTAINERS_CONF="$VAR/conf/containers.conf" \
        podman --root "$VAR/data/podman/storage" --runroot "$RUN/podman" --log-level warn \
        system service --time=0 "unix://$RUN/podman.sock"
    wait_for podman 30 podman_answers
    chmod 600 "$RUN/podman.sock"
}

has_podman() { [ -d "$VAR/data/podman/storage" ] && [ -f "$VAR/conf/containers.conf" ]; }

# The processes that hold our containers, one for each. Podman itself still
# believes in containers whose holder was killed.
holders() { pgrep -f -- "^[^ ]*conmon .*-b $VAR/data/podman/storage/" || true; }

pods_running() { [ -n "$(holders)" ]; }

# When everything was killed, Podman has to look at its containers as after a
# reboot, which it does when its temporary directories are empty.
forget_killed() {
    ! pods_running || return 0
    clean_podman
    unmount_below "$RUN/podman"
    [ -n "$(mounts_below "$RUN/podman")" ] || rm -rf "$RUN/podman" "$RUN/libpod"
}

# What nobody's containers use: mounts of the storage, and the networks that
# killed pods left behind. Their rules would lead players to an old address.
clean_podman() {
    local file
    ! pods_running || return 0
    unmount_below "$VAR/data/podman"
    for file in "$VAR"/data/podman/networks/*.json; do
        [ ! -f "$file" ] || forget_network \
            "$(sed -n 's/^ *"name": "\(.*\)",/\1/p' "$file")" "$(sed -n 's/^ *"network_interface": "\(.*\)",/\1/p' "$file")"
    done
}

# forget_network NAME BRIDGE
forget_network() {
    local rule chain link space
    while read -r _ rule; do
        chain=${rule##* }
        # shellcheck disable=SC2086
        xargs -r iptables -w -t nat -D <<<"$rule" 2>/dev/null || true
        [[ $chain != NETAVARK-DN-* ]] || { iptables -w -t nat -F "$chain" && iptables -w -t nat -X "$chain"; } 2>/dev/null || true
    done < <(iptables -w -t nat -S 2>/dev/null | grep -F "name: $1 id: " || true)
    [ -d "/sys/class/net/$2" ] || return 0
    for link in "/sys/class/net/$2"/brif/*; do
        [ -e "$link" ] || continue
        link=${link##*/}
        space=$(ip -o link show dev "$link" | sed -n 's/.*link-netns \([^ \\]*\).*/\1/p')
        ip link delete "$link" 2>/dev/null || true
        [ -z "$space" ] || ip netns delete "$space" 2>/dev/null || true
    done
    ip link delete "$2" 2>/dev/null || true
}

# The containers that games run in: not those that only hold a pod together.
games_running() { podman_ ps -q --filter label=app.kubernetes.io/managed-by=mchost 2>/dev/null 9>&-; }

# Runs podman for at most so many seconds: Podman 4.3 can stop a pod for ever.
podman_within() {
    local seconds=$1
    shift
    CONTAINERS_CONF=$VAR/conf/containers.conf timeout -k 5 "$seconds" \
        podman --root "$VAR/data/podman/storage" --runroot "$RUN/podman" "$@" >>"$VAR/log/podman.log" 2>&1 9>&-
}

# Games are asked to save and end. Their pods end with them and stay, so that
# they can be started again.
stop_pods() {
    local games
    pods_running || return 0
    say "stopping the game servers"
    mapfile -t games < <(games_running)
    [ ${#games[@]} = 0 ] || podman_within $((STOP_SECONDS + 15)) stop -t $STOP_SECONDS "${games[@]}" || true
    until_true 5 no_pods && return
    podman_within 30 pod stop -a -t 5 || true
    podman_within 30 kill -a || true
    until_true 5 no_pods && return
    end_conmons
    no_pods || say "containers are still running; see: podman --root $VAR/data/podman/storage ps"
}

# The last resort: what holds our containers, and what they run.
end_conmons() {
    local pid
    for pid in $(holders); do
        pkill -KILL -P "$pid" || true
        kill -s KILL "$pid" 2>/dev/null || true
    done
}

no_pods() { ! pods_running; }

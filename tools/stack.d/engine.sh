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
    podman_ run --rm --network none --read-only --entrypoint /bin/busybox "$DEMO_IMAGE" true </dev/null 9>&- >"$VAR/log/podman-probe.log" 2>&1
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

pods_running() {
    has_podman && [ -n "$(podman_ ps -q 2>/dev/null 9>&-)" ]
}

# Games are asked to save and end; a pod stays, so that it can be started again.
stop_pods() {
    pods_running || return 0
    say "stopping the game servers"
    podman_ pod stop -a -t $STOP_SECONDS >>"$VAR/log/podman.log" 2>&1 9>&- || true
    pods_running || return 0
    podman_ kill -a >>"$VAR/log/podman.log" 2>&1 9>&- || true
    until_true 10 no_pods || say "containers are still running; see: podman --root $VAR/data/podman/storage ps"
}

no_pods() { ! pods_running; }

# A storage that nobody uses has nothing mounted.
clean_podman() { unmount_below "$VAR/data/podman"; }

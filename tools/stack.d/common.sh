# shellcheck shell=bash
# Processes, ports and files: what the parts of tools/stack share.

say() { echo "mchost: $*"; }
fail() { echo "mchost: $*" >&2; exit 1; }

# Users of their own for PostgreSQL and Redis, mounts and networks of
# containers need root.
become_root() {
    [ "$(id -u)" != 0 ] || return 0
    command -v sudo >/dev/null || fail "containers and their network need root, and there is no sudo"
    exec sudo --preserve-env=HTTP_PORT,GAME_PORT,ADMIN_PORT,KUBE_PORT,KUBECONFIG,VAR,ENGINE,BUILD,DATABASE_URL,REDIS_URL "$ROOT/tools/stack" "$@"
}

# The user who typed sudo, for files that are theirs.
invoker() { echo "${SUDO_USER:-root}"; }

as_invoker() {
    if [ "$(invoker)" = root ]; then
        "$@"
    else
        runuser -u "$(invoker)" -- env HOME="$(getent passwd "$(invoker)" | cut -d: -f6)" "$@"
    fi
}

as_user() {
    local user=$1
    shift
    setpriv --reuid="$user" --regid="$user" --init-groups -- "$@"
}

# One up, run or down at a time. Daemons do not inherit the lock.
lock() {
    mkdir -p "$RUN"
    exec 9>"$RUN/lock"
    flock -w 120 9 || fail "another 'make run', 'up' or 'down' of $VAR is at work"
    trap tidy EXIT
}

# Nothing of ours runs: nothing of ours lies around.
tidy() {
    ! compgen -G "$RUN/*.pid" >/dev/null || return 0
    clean_podman
    unexpose
}

unlock() { exec 9>&-; }

# Sleeps, but lets a signal through at once.
pause() {
    sleep "$1" &
    wait $! || true
}

# until_true SECONDS COMMAND…: repeats the command until it succeeds.
until_true() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ $SECONDS -lt $end ] || return 1
        pause 0.1
    done
}

# -- processes: RUN/NAME.pid holds pid and start time, so that a number which
# the kernel gave to somebody else is not taken for ours --

# Field 22 of /proc/PID/stat; nothing for a process that is gone or a zombie.
started() {
    local stat
    read -r stat 2>/dev/null < "/proc/$1/stat" || return 0
    # shellcheck disable=SC2086
    set -- ${stat##*) }
    [ "$1" = Z ] || echo "${20}"
}

# Prints the pid of a component that runs.
pid_of() {
    local pid start
    read -r pid start 2>/dev/null < "$RUN/$1.pid" || return 1
    [ -n "$start" ] && [ "$(started "$pid")" = "$start" ] || return 1
    echo "$pid"
}

alive() {
    case $1 in
    kubernetes) kubernetes_alive ;;
    *)          pid_of "$1" >/dev/null ;;
    esac
}

remember() { echo "$2 $(started "$2")" > "$RUN/$1.pid"; }

# spawn NAME COMMAND…: a daemon in a session of its own, which the terminal's
# Ctrl-C does not reach, with its output in VAR/log.
spawn() {
    local name=$1
    shift
    end_session "$name"
    setsid "$@" </dev/null >>"$VAR/log/$name.log" 2>&1 9>&- &
    remember "$name" $!
    disown $!
}

# The pids of a session. A session outlives its leader (nginx's workers do
# when their master is killed), and as long as it does its number is taken.
session_of() {
    local stat pid
    for stat in /proc/[0-9]*/stat; do
        read -r stat 2>/dev/null < "$stat" || continue
        pid=${stat%% *}
        # shellcheck disable=SC2086
        set -- "$1" ${stat##*) }
        [ "$5" != "$1" ] || [ "$2" = Z ] || echo "$pid"
    done
}

# Ends what a component left behind that is itself gone.
end_session() {
    local leader pid
    read -r leader _ 2>/dev/null < "$RUN/$1.pid" || return 0
    [ -z "$(started "$leader")" ] || return 0
    for pid in $(session_of "$leader"); do
        kill -s KILL "$pid" 2>/dev/null || true
    done
}

# stop NAME SIGNAL SECONDS: asks, waits, and kills what does not go.
stop() {
    local pid
    if pid=$(pid_of "$1"); then
        kill -s "$2" "$pid" 2>/dev/null || true
        if ! until_true "$3" gone "$1"; then
            say "$1 does not stop within $3 s and is killed"
            kill -s KILL "$pid" 2>/dev/null || true
            until_true 5 gone "$1" || true
        fi
    fi
    end_session "$1"
    rm -f "$RUN/$1.pid"
}

gone() { ! alive "$1"; }

last_words() { tail -n 8 "$VAR/log/$1.log" 2>/dev/null | sed 's/^/    /' >&2 || true; }

# wait_for NAME SECONDS COMMAND…: until the component answers.
wait_for() {
    local name=$1 end=$((SECONDS + $2))
    shift 2
    until "$@" >/dev/null 2>&1; do
        if ! alive "$name" || [ $SECONDS -ge $end ]; then
            last_words "$name"
            fail "$name does not start; its log: $VAR/log/$name.log"
        fi
        pause 0.1
    done
}

# -- ports and files --

is_port() { [[ $1 =~ ^[0-9]{1,5}$ ]] && [ "$1" -ge 1 ] && [ "$1" -le 65535 ]; }

port_taken() { [ -n "$(ss -Hltn "sport = :$1")" ]; }

# write FILE: standard input into a file that only root reads.
write() {
    ( umask 077 && cat > "$1.tmp" )
    mv "$1.tmp" "$1"
}

# Ten megabytes of a log are kept, twice.
rotate_logs() { find "$VAR/log" -name '*.log' -size +10M -exec mv {} {}.1 \; ; }

random_hex() { od -An -vtx1 -N"$1" /dev/urandom | tr -d ' \n'; }

# expose DIRECTORY NAME USER: makes a directory reachable for another user as
# RUN/NAME. A clone below /root or in a closed home is not, by its own path.
expose() {
    local to=$RUN/$2
    ! mountpoint -q "$to" || return 0
    if as_user "$3" test -x "$1"; then
        [ ! -d "$to" ] || [ -L "$to" ] || rmdir "$to"
        ln -sfn "$1" "$to"
    else
        rm -f "$to"
        mkdir -p "$to"
        mount --bind "$1" "$to"
    fi
}

# Mount points below a directory, the innermost first.
mounts_below() { awk -v dir="$1/" 'index($5, dir) == 1 { print $5 }' /proc/self/mountinfo | sort -r; }

unmount_below() {
    local at
    mounts_below "$1" | while read -r at; do
        umount "$at" 2>/dev/null || umount -l "$at" || true
    done
}

# Removes RUN, never through a mount into what it shows.
unexpose() {
    unmount_below "$RUN"
    if [ -n "$(mounts_below "$RUN")" ]; then
        say "something is still mounted below $RUN"
        return 0
    fi
    find "$RUN" -xdev -depth ! -path "$RUN/lock" ! -path "$RUN" -delete 2>/dev/null || true
    rm -f "$VAR/run" "$RUN/lock"
    rmdir "$RUN" 2>/dev/null || true
}

# shellcheck shell=bash
# The Kubernetes of this stack: the one that KUBECONFIG names, or one of its
# own on this machine, below VAR/data/kube.

own_cluster() { VAR=$VAR/data KUBE_PORT=$KUBE_PORT t/kube/kube "$@" 9>&-; }

cluster_alive() { [ -d "$VAR/data/kube" ] && own_cluster alive; }

# Somebody else's is not ours to watch.
kubernetes_alive() { [ -n "$KUBECONFIG" ] || cluster_alive; }

kubeconfig() { echo "${KUBECONFIG:-$VAR/data/kube/kubeconfig}"; }

kubectl_() {
    local kubectl=build/kube/kubectl
    [ -x $kubectl ] || kubectl=$(command -v kubectl) || fail "there is no kubectl; install it, or run: t/kube/kube build"
    "$kubectl" --kubeconfig "$(kubeconfig)" "$@"
}

# The port of a cluster that is there already, or the first that is free with
# those behind it.
choose_kube_port() {
    [ -z "$KUBE_PORT" ] || return 0
    KUBE_PORT=$(cat "$VAR/data/kube/port" 2>/dev/null) && return
    for ((KUBE_PORT = 6443; KUBE_PORT < 8443; KUBE_PORT += 8)); do
        [ -n "$(ss -Hltn "sport >= :$KUBE_PORT and sport <= :$((KUBE_PORT + 7))")" ] || return 0
    done
}

# The image is loaded when the cluster has another one.
load_demo_image() {
    local archive id
    archive=$(as_invoker images/demo/build "$DEMO_IMAGE" 9>&-) || fail "the demo image cannot be built"
    id=$(cat "$archive.id")
    [ "$(cat "$VAR/data/kube/demo-image" 2>/dev/null)" != "$id" ] || return 0
    say "loading the demo image"
    own_cluster load "$archive" >>"$VAR/log/kubernetes.log" 2>&1 || { last_words kubernetes; fail "the cluster cannot load $archive"; }
    echo "$id" > "$VAR/data/kube/demo-image"
}

start_kubernetes() {
    if [ -n "$KUBECONFIG" ]; then
        say "using the cluster of $KUBECONFIG; servers of type demo need the image $DEMO_IMAGE there"
    elif ! cluster_alive; then
        mkdir -p "$VAR/data"
        choose_kube_port
        as_invoker t/kube/kube build 9>&- || fail "Kubernetes cannot be built"
        own_cluster up >>"$VAR/log/kubernetes.log" 2>&1 || { last_words kubernetes; fail "Kubernetes does not start; its logs: $VAR/log/kubernetes.log and $VAR/data/kube/log"; }
    fi
    [ -n "$KUBECONFIG" ] || load_demo_image
    [ -n "$KUBECONFIG" ] || [ -f "$VAR/data/kube/proxy.pid" ] ||
        say "another cluster's kube-proxy runs on this machine: nobody can join at the addresses of this one; stop that cluster, then this one, and start again"
    kubectl_ apply --server-side --force-conflicts -f conf/kubernetes/crd.yaml >>"$VAR/log/kubernetes.log" 2>&1 ||
        { last_words kubernetes; fail "the MinecraftServer resource cannot be applied"; }
    kubectl_ wait --for=condition=Established --timeout=60s crd/minecraftservers.mchost.io >>"$VAR/log/kubernetes.log" 2>&1 ||
        { last_words kubernetes; fail "the MinecraftServer resource is not established"; }
}

# Games get the time to save.
stop_kubernetes() {
    [ -d "$VAR/data/kube" ] && cluster_alive || return 0
    say "stopping Kubernetes and its game servers"
    own_cluster stop >>"$VAR/log/kubernetes.log" 2>&1 || { last_words kubernetes; say "Kubernetes did not stop in good order"; }
}

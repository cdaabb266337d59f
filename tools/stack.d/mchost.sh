# shellcheck shell=bash
# mchost itself: the reconciler, nginx, the demo tenant.

DEMO_IMAGE=localhost/mchost-demo:latest

# -- the reconciler --

reconciler_config() {
    local redis kubeconfig=
    mapfile -t redis < <(redis_parts reconciler)
    [ "$ENGINE" != kubernetes ] || kubeconfig=$(kubeconfig)
    [[ ${redis[0]} == unix:* ]] || redis[0]=redis://${redis[0]}
    cat <<EOF
# Made by tools/stack at every start.
database_url "$(conninfo mchost_reconciler reconciler)";
migrate_url "$(conninfo mchost_owner owner)";
redis_url ${redis[0]};
redis_user "${redis[1]}";
redis_password "${redis[2]}";
engine $ENGINE;
kubeconfig "$kubeconfig";
podman_socket $RUN/podman.sock;
secret_file "$VAR/secrets/rcon";
demo_image $DEMO_IMAGE;
game_address 127.0.0.1;
game_ports $GAME_PORT-$((GAME_PORT + 99));
admin_listen 127.0.0.1:$ADMIN_PORT;
EOF
}

start_reconciler() {
    alive reconciler && return
    reconciler_config | write "$VAR/conf/reconciler.conf"
    "$BUILD/mchost-reconciler" -c "$VAR/conf/reconciler.conf" --migrate >>"$VAR/log/reconciler.log" 2>&1 9>&- ||
        { last_words reconciler; fail "the migrations cannot be applied"; }
    make_tenant
    spawn reconciler "$BUILD/mchost-reconciler" -c "$VAR/conf/reconciler.conf"
    wait_for reconciler 30 curl -fsS -m 5 "http://127.0.0.1:$ADMIN_PORT/livez"
}

# -- the demo tenant and its key --

uuid7() {
    local ms random
    ms=$(printf %012x "$(date +%s%3N)")
    random=$(random_hex 10)
    printf '%s-%s-7%s-%x%s-%s\n' "${ms:0:8}" "${ms:8:4}" "${random:0:3}" $((8 + 0x${random:3:1} % 4)) "${random:4:3}" "${random:7:12}"
}

credential() { sed -n "s/^$1=//p" "$VAR/credentials" 2>/dev/null || true; }

# The key is made once. The rows are put in again when they are missing, as
# after the database was thrown away.
make_tenant() {
    local tenant key id hash platform platform_id platform_hash
    tenant=$(credential tenant)
    key=$(credential api_key)
    if [ -z "$tenant" ] || [ -z "$key" ]; then
        tenant=$(uuid7)
        id=$(uuid7)
        key=mch_${id//-/}_$(head -c 32 /dev/urandom | base64 -w 0 | tr '+/' '-_' | tr -d =)
    fi
    platform=$(credential platform_key)
    [ -n "$platform" ] || platform=mcp_$(uuid7 | tr -d -)_$(head -c 32 /dev/urandom | base64 -w 0 | tr '+/' '-_' | tr -d =)
    printf 'url=http://127.0.0.1:%s/\ntenant=%s\napi_key=%s\nplatform_key=%s\n' "$HTTP_PORT" "$tenant" "$key" "$platform" | write "$VAR/credentials"
    chown "$(invoker)": "$VAR/credentials"
    id=$(sed -E 's/^mch_(.{8})(.{4})(.{4})(.{4})(.{12})_.*/\1-\2-\3-\4-\5/' <<<"$key")
    hash=$(printf %s "$key" | sha256sum | cut -c1-64)
    platform_id=$(sed -E 's/^mcp_(.{8})(.{4})(.{4})(.{4})(.{12})_.*/\1-\2-\3-\4-\5/' <<<"$platform")
    platform_hash=$(printf %s "$platform" | sha256sum | cut -c1-64)
    as_owner >>"$VAR/log/postgres.log" 2>&1 <<EOF || { last_words postgres; fail "the demo tenant cannot be made"; }
\\o /dev/null
BEGIN;
SELECT set_config('app.tenant_id', '$tenant', true);
INSERT INTO tenants (tenant_id, name, max_servers) VALUES ('$tenant', 'demo', 100) ON CONFLICT DO NOTHING;
INSERT INTO tenant_usage (tenant_id) VALUES ('$tenant') ON CONFLICT DO NOTHING;
INSERT INTO api_keys (tenant_id, id, name, key_hash, role) VALUES ('$tenant', '$id', 'demo', '$hash', 'owner') ON CONFLICT DO NOTHING;
INSERT INTO platform_keys (id, name, key_hash) VALUES ('$platform_id', 'first', '$platform_hash') ON CONFLICT DO NOTHING;
COMMIT;
EOF
}

# -- nginx --

# conf/mchost-backends.conf with this stack's servers. No other program sees
# the passwords, whose arguments everybody could read.
backends_config() {
    local redis line
    mapfile -t redis < <(redis_parts nginx)
    while IFS= read -r line; do
        case $line in
        *user=mchost_platform*) echo "    conninfo      \"$(conninfo mchost_platform platform)\";" ;;
        ' '*conninfo' '*) echo "    conninfo      \"$(conninfo mchost_api api)\";" ;;
        mchost_redis' '*) echo "mchost_redis ${redis[0]} prefix=mchost:${redis[1]:+ \"user=${redis[1]}\"}${redis[2]:+ \"password=${redis[2]}\"};" ;;
        *) echo "$line" ;;
        esac
    done < conf/mchost-backends.conf
}

# conf/nginx.conf with this stack's paths and port.
nginx_config() {
    local files temp name
    files=$(ulimit -Hn)
    [ "$files" != unlimited ] && [ "$files" -lt 65536 ] || files=65536
    for name in client_body proxy fastcgi uwsgi scgi; do
        temp+="${name}_temp_path $RUN/nginx/$name; "
    done
    sed -e "s|^load_module .*|load_module $BUILD/ngx_http_mchost_module.so;|" \
        -e "s|^worker_rlimit_nofile [0-9]*|worker_rlimit_nofile $files|" \
        -e "s|worker_connections 16384|worker_connections $((files / 4))|" \
        -e "s|^pid .*|pid $RUN/nginx/nginx.pid; daemon off;|" \
        -e "s|^error_log [^ ]*|error_log $VAR/log/nginx.log|" \
        -e "s|^http {|http { $temp|" \
        -e "s|^\( *access_log \)/[^ ]*|\1$VAR/log/access.log|" \
        -e "s|include mime.types|include /etc/nginx/mime.types|" \
        -e "s|include mchost-backends|include $VAR/conf/mchost-backends|" \
        -e "s|include mchost-headers|include $ROOT/conf/mchost-headers|" \
        -e "s|listen 127.0.0.1:8080|listen 127.0.0.1:$HTTP_PORT|" \
        -e "s|root /usr/share/mchost/dashboard|root $RUN/dashboard|" conf/nginx.conf
}

start_nginx() {
    alive nginx && return
    mkdir -p "$RUN/nginx"
    expose "$ROOT/dashboard" dashboard www-data
    backends_config | write "$VAR/conf/mchost-backends.conf"
    nginx_config | write "$VAR/conf/nginx.conf"
    spawn nginx nginx -p "$RUN/nginx" -c "$VAR/conf/nginx.conf" -e "$VAR/log/nginx.log"
    wait_for nginx 30 curl -fsS -m 5 "http://127.0.0.1:$HTTP_PORT/healthz"
}

# -- all of it --

ready() { curl -fsS -m 5 "http://127.0.0.1:$HTTP_PORT/readyz" >/dev/null 2>&1; }

wait_ready() {
    until_true 60 ready && return
    curl -sS -m 5 "http://127.0.0.1:$HTTP_PORT/readyz" | sed 's/^/    /' >&2 || true
    last_words nginx
    fail "the platform does not become ready; its logs: $VAR/log"
}

show() {
    echo
    echo "  dashboard  $(credential url)"
    echo "  API key    $(credential api_key)"
    echo
    [ "$ENGINE" != kubernetes ] || printf '  kubectl    KUBECONFIG=%s\n\n' "$(kubeconfig)"
    echo "  The key is also in $VAR/credentials, logs are in $VAR/log."
    echo
}

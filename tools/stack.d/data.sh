# shellcheck shell=bash
# PostgreSQL, Redis and what is secret.

# Passwords are made once and live in VAR/secrets, mode 0600.
make_secrets() {
    local name
    for name in owner api reconciler platform redis-nginx redis-reconciler rcon; do
        [ -s "$VAR/secrets/$name" ] || random_hex 32 | write "$VAR/secrets/$name"
    done
}

secret() { cat "$VAR/secrets/$1"; }

# Which components this stack runs itself.
wanted() {
    case $1 in
    postgres) [ -z "$DATABASE_URL" ] ;;
    redis)    [ -z "$REDIS_URL" ] ;;
    *)        true ;;
    esac
}

# -- PostgreSQL --

pg_bin() {
    local bin
    bin=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
    [ -x "$bin/postgres" ] || fail "PostgreSQL is not installed; run: make packages"
    echo "$bin"
}

init_postgres() {
    local data=$1 bin
    bin=$(pg_bin)
    # A cluster that was not finished is begun again.
    if [ -d "$VAR/data/postgres" ] && [ ! -f "$data/mchost-made" ]; then
        find "$data/" -mindepth 1 -delete
    fi
    [ ! -f "$data/mchost-made" ] || return 0
    say "making a database cluster"
    as_user postgres "$bin/initdb" -D "$data" -U postgres -E UTF8 --locale=C.UTF-8 --auth=peer \
        >>"$VAR/log/postgres.log" 2>&1 || { last_words postgres; fail "initdb failed; its log: $VAR/log/postgres.log"; }
    printf '%s\n' 'local all postgres peer map=mchost' 'local all all scram-sha-256' > "$data/pg_hba.conf"
    printf '%s\n' 'mchost postgres postgres' 'mchost root postgres' > "$data/pg_ident.conf"
    cat >> "$data/postgresql.conf" <<EOF
listen_addresses = ''
unix_socket_permissions = 0777
password_encryption = scram-sha-256
max_connections = 200
log_line_prefix = '%m [%p] %q%u@%d '
lc_messages = 'C'
EOF
    touch "$data/mchost-made"
}

# A killed PostgreSQL that nobody reaps (a container without init) looks alive
# to the next one.
forget_zombie() {
    local pid
    read -r pid 2>/dev/null < "$1" || return 0
    if [ -e "/proc/$pid" ] && [ -z "$(started "$pid")" ]; then
        rm -f "$1"
    fi
}

start_postgres() {
    local data=$RUN/postgres
    if wanted postgres && ! alive postgres; then
        mkdir -p "$VAR/data/postgres" "$RUN/pg"
        chown postgres: "$VAR/data/postgres" "$RUN/pg"
        chmod 700 "$VAR/data/postgres"
        expose "$VAR/data/postgres" postgres postgres
        init_postgres "$data"
        forget_zombie "$data/postmaster.pid"
        forget_zombie "$RUN/pg/.s.PGSQL.5432.lock"
        spawn postgres setpriv --reuid=postgres --regid=postgres --init-groups -- \
            "$(pg_bin)/postgres" -D "$data" -k "$RUN/pg"
        wait_for postgres 60 as_superuser -c 'SELECT 1'
    fi
    make_roles
}

# database_settings: the parts of DATABASE_URL (postgresql://…) as libpq's
# environment, one NAME=value a line, so that no password shows in a process
# list.
database_settings() {
    local url=$DATABASE_URL rest query='' userinfo='' hostport name param params
    [[ $url =~ ^postgres(ql)?://(.*)$ ]] || fail "DATABASE_URL must be of the form postgresql://user:password@host:port/database"
    rest=${BASH_REMATCH[2]}
    if [[ $rest == *\?* ]]; then query=${rest#*\?}; rest=${rest%%\?*}; fi
    name=''
    if [[ $rest == */* ]]; then name=${rest#*/}; rest=${rest%%/*}; fi
    if [[ $rest == *@* ]]; then userinfo=${rest%@*}; rest=${rest##*@}; fi
    hostport=$rest
    [ -n "$name" ] || fail "DATABASE_URL names no database: postgresql://user:password@host:port/database"
    echo "PGDATABASE=$(decode "$name")"
    [ -z "$userinfo" ] || echo "PGUSER=$(decode "${userinfo%%:*}")"
    [[ $userinfo != *:* ]] || echo "PGPASSWORD=$(decode "${userinfo#*:}")"
    if [[ $hostport =~ ^(.*):([0-9]+)$ ]]; then
        echo "PGPORT=${BASH_REMATCH[2]}"
        hostport=${BASH_REMATCH[1]}
    fi
    hostport=${hostport#[}
    [ -z "$hostport" ] || echo "PGHOST=$(decode "${hostport%]}")"
    IFS='&' read -ra params <<<"$query"
    for param in "${params[@]}"; do
        case $param in
        host=*|port=*|sslmode=*|sslrootcert=*)
            name=${param%%=*}
            echo "PG${name^^}=$(decode "${param#*=}")" ;;
        *)  fail "DATABASE_URL has a parameter that is not understood: ${param%%=*}" ;;
        esac
    done
}

decode() { printf '%b' "${1//%/\\x}"; }

# psql as somebody who may make roles.
as_superuser() {
    local settings=(PGHOST="$RUN/pg" PGUSER=postgres PGDATABASE=mchost)
    if [ -n "$DATABASE_URL" ]; then
        mapfile -t settings < <(database_settings)
    elif ! [ -f "$VAR/data/postgres/mchost-database" ]; then
        settings=(PGHOST="$RUN/pg" PGUSER=postgres PGDATABASE=postgres)
    fi
    ( export "${settings[@]}" && exec psql -X -q -v ON_ERROR_STOP=1 "$@" )
}

# conninfo ROLE SECRET: how a role of mchost's connects.
conninfo() {
    local key value words=() settings=("PGHOST=$RUN/pg" PGDATABASE=mchost)
    [ -z "$DATABASE_URL" ] || mapfile -t settings < <(database_settings)
    for key in HOST:host PORT:port DATABASE:dbname SSLMODE:sslmode SSLROOTCERT:sslrootcert; do
        for value in "${settings[@]}"; do
            [[ $value != "PG${key%%:*}="* ]] || words+=("${key#*:}='${value#*=}'")
        done
    done
    echo "${words[*]} user=$1 password=$(secret "$2")"
}

# Roles, passwords and the database: repeated at every start, changes nothing
# then. Passwords travel on standard input.
make_roles() {
    local made=$VAR/data/postgres/mchost-database log=$VAR/log/postgres.log
    {
        printf "\\\\set owner_password %s\n\\\\set api_password %s\n\\\\set reconciler_password %s\n\\\\set platform_password %s\n" \
            "$(secret owner)" "$(secret api)" "$(secret reconciler)" "$(secret platform)"
        # Its statements hold passwords, which a server may log.
        echo "SET log_statement = 'none';"
        cat sql/roles.sql
    } | as_superuser >>"$log" 2>&1 || { last_words postgres; fail "cannot make the database roles; see $log"; }
    if [ -n "$DATABASE_URL" ]; then
        as_superuser -c 'GRANT USAGE, CREATE ON SCHEMA public TO mchost_owner' >>"$log" 2>&1 ||
            { last_words postgres; fail "cannot prepare the database of DATABASE_URL; see $log"; }
    elif [ ! -f "$made" ]; then
        [ -n "$(as_superuser -At -c "SELECT 1 FROM pg_database WHERE datname = 'mchost'")" ] ||
            as_superuser -c 'CREATE DATABASE mchost OWNER mchost_owner' >>"$log" 2>&1 || fail "cannot make the database mchost; see $log"
        touch "$made"
    fi
}

# psql as the owner of the tables, whom row-level security binds as well.
as_owner() {
    local file=$RUN/owner.pgservice
    { echo '[mchost]'; conninfo mchost_owner owner | tr ' ' '\n' | sed "s/='\(.*\)'$/=\1/"; } | write "$file"
    PGSERVICEFILE=$file PGSERVICE=mchost psql -X -q -v ON_ERROR_STOP=1 "$@"
}

# -- Redis --

redis_config() {
    local nginx reconciler
    nginx=$(secret redis-nginx | sha256sum | cut -c1-64)
    reconciler=$(secret redis-reconciler | sha256sum | cut -c1-64)
    sed -e "s|^unixsocket .*|unixsocket $RUN/redis/redis.sock|" \
        -e "s|^dir .*|dir $RUN/redis-data|" \
        -e "/^user nginx /s/#0*/#$nginx/" \
        -e "/^user reconciler /s/#0*/#$reconciler/" conf/redis.conf
}

redis_answers() { redis-cli -s "$RUN/redis/redis.sock" ping 2>&1 | grep -qE 'NOAUTH|PONG'; }

start_redis() {
    if ! wanted redis || alive redis; then return 0; fi
    mkdir -p "$VAR/data/redis" "$RUN/redis"
    chown redis: "$VAR/data/redis" "$RUN/redis"
    chmod 700 "$VAR/data/redis"
    chmod 755 "$RUN/redis"
    expose "$VAR/data/redis" redis-data redis
    redis_config | write "$VAR/conf/redis.conf"
    # The configuration comes on standard input: Redis itself may not read it.
    spawn redis bash -c 'exec setpriv --reuid=redis --regid=redis --init-groups -- redis-server - <"$1"' _ "$VAR/conf/redis.conf"
    wait_for redis 60 redis_answers
}

# redis_parts USER: address, user and password for nginx or the reconciler,
# one a line.
redis_parts() {
    local rest user='' password=''
    if [ -z "$REDIS_URL" ]; then
        printf '%s\n' "unix:$RUN/redis/redis.sock" "$1" "$(secret "redis-$1" 2>/dev/null)"
        return
    fi
    case $REDIS_URL in
    unix:*)    rest=${REDIS_URL#unix:}; rest=unix:${rest#//} ;;
    redis://*) rest=${REDIS_URL#redis://}; rest=${rest%%/*} ;;
    *)         fail "REDIS_URL must be of the form redis://user:password@host:port or unix:/path" ;;
    esac
    if [[ $rest == *@* && $rest != unix:* ]]; then
        user=${rest%@*}
        rest=${rest##*@}
        [[ $user != *:* ]] || password=$(decode "${user#*:}")
        user=$(decode "${user%%:*}")
        [ -z "$password" ] || user=${user:-default}
    fi
    [[ $rest == unix:* || $rest == *:* ]] || rest=$rest:6379
    printf '%s\n' "$rest" "$user" "$password"
}

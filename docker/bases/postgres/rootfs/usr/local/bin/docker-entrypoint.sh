#!/usr/bin/env bash
# Usage: docker-entrypoint.sh [postgres] [OPTION...]
#
# Makes the database cluster at the first start, then becomes the server. Keeps the contract of
# the official postgres image; the variables it reads are in load_settings. Can be sourced for
# its functions, as docker-ensure-initdb.sh does.
set -Eeo pipefail

die() {
    echo >&2 "error: $1"
    exit 1
}

# Usage: file_env NAME [DEFAULT]. Exports NAME from NAME, or else from the file that NAME_FILE
# names (trailing newlines cut), or else DEFAULT.
file_env() {
    local name=$1 file_name=${1}_FILE value=${2:-}
    if [ "${!name:-}" ] && [ "${!file_name:-}" ]; then
        die "both $name and $file_name are set: set one of them"
    fi
    if [ "${!name:-}" ]; then
        value=${!name}
    elif [ "${!file_name:-}" ]; then
        value=$(< "${!file_name}")
    fi
    export "$name=$value"
    unset "$file_name"
}

load_settings() {
    file_env POSTGRES_PASSWORD
    file_env POSTGRES_USER postgres
    file_env POSTGRES_DB "$POSTGRES_USER"
    file_env POSTGRES_INITDB_ARGS
    : "${POSTGRES_HOST_AUTH_METHOD:=}"

    cluster_exists=
    if [ -s "$PGDATA/PG_VERSION" ]; then
        cluster_exists=yes
    fi
}

# Root hands over what the server writes; an unprivileged start makes what it may.
make_directories() {
    mkdir -p "$PGDATA"
    chmod 00700 "$PGDATA" || :
    # Ignored where the directory is somebody else's: any user may start this image.
    mkdir -p /var/run/postgresql || :
    chmod 03775 /var/run/postgresql || :
    if [ "${POSTGRES_INITDB_WALDIR:-}" ]; then
        mkdir -p "$POSTGRES_INITDB_WALDIR"
        chmod 700 "$POSTGRES_INITDB_WALDIR"
    fi
    if [ "$(id -u)" = 0 ]; then
        local directory
        for directory in "$PGDATA" /var/run/postgresql ${POSTGRES_INITDB_WALDIR:+"$POSTGRES_INITDB_WALDIR"}; do
            find "$directory" \! -user postgres -exec chown postgres '{}' +
        done
    fi
}

# 18 moved the data one directory up: an old cluster in the old place would silently be left
# beside a new, empty one.
refuse_old_layout() {
    [ "${PG_MAJOR:-0}" -ge 18 ] || return 0
    local old found=()
    for old in /var/lib/postgresql /var/lib/postgresql/data /var/lib/postgresql/*/docker; do
        if [ -s "$old/PG_VERSION" ]; then
            found+=("$old")
        fi
    done
    if grep -q ' /var/lib/postgresql/data ' /proc/self/mountinfo; then
        found+=("/var/lib/postgresql/data (a mount)")
    fi
    [ "${#found[@]}" -gt 0 ] || return 0
    cat >&2 <<-MESSAGE
		error: PostgreSQL data in a place that PostgreSQL $PG_MAJOR does not use: ${found[*]}
		  From 18 on the volume belongs on /var/lib/postgresql and the data is in $PGDATA.
		  Move the volume, and upgrade an old cluster with pg_upgrade or a dump and a restore.
	MESSAGE
    exit 1
}

require_password() {
    case "$POSTGRES_PASSWORD:$POSTGRES_HOST_AUTH_METHOD" in
        :trust) echo >&2 "warning: POSTGRES_HOST_AUTH_METHOD=trust lets anybody who reaches the port in, as any user" ;;
        :*)
            cat >&2 <<-'MESSAGE'
				error: the database is not initialised and the superuser has no password
				  Set POSTGRES_PASSWORD, or POSTGRES_PASSWORD_FILE, to a value that is not empty:
				    docker run -e POSTGRES_PASSWORD=... postgres
				  POSTGRES_HOST_AUTH_METHOD=trust allows connections without one. That is not recommended.
			MESSAGE
            exit 1
            ;;
    esac
}

# initdb wants a name for its user id; with "--user 12345" there is none in /etc/passwd.
name_this_user() {
    local library uid
    uid=$(id -u)
    if getent passwd "$uid" > /dev/null; then
        return 0
    fi
    for library in /usr/lib/*/libnss_wrapper.so /lib/*/libnss_wrapper.so; do
        [ -e "$library" ] || continue
        NSS_WRAPPER_PASSWD=$(mktemp)
        NSS_WRAPPER_GROUP=$(mktemp)
        export LD_PRELOAD=$library NSS_WRAPPER_PASSWD NSS_WRAPPER_GROUP
        echo "postgres:x:$uid:$(id -g):PostgreSQL:$PGDATA:/bin/false" > "$NSS_WRAPPER_PASSWD"
        echo "postgres:x:$(id -g):" > "$NSS_WRAPPER_GROUP"
        return 0
    done
}

forget_this_user() {
    if [ "${NSS_WRAPPER_PASSWD:-}" ]; then
        rm -f "$NSS_WRAPPER_PASSWD" "$NSS_WRAPPER_GROUP"
        unset LD_PRELOAD NSS_WRAPPER_PASSWD NSS_WRAPPER_GROUP
    fi
}

init_cluster() {
    if [ "${POSTGRES_INITDB_WALDIR:-}" ]; then
        set -- --waldir "$POSTGRES_INITDB_WALDIR" "$@"
    fi
    name_this_user
    # The arguments are one string with shell quoting, by contract. The newline keeps an empty
    # password, which initdb would refuse to read, a line.
    eval 'initdb --username="$POSTGRES_USER" --pwfile=<(printf "%s\n" "$POSTGRES_PASSWORD") '"$POSTGRES_INITDB_ARGS"' "$@"'
    forget_this_user
}

# Connections from outside authenticate with what the passwords are stored as.
allow_remote_connections() {
    local method=$POSTGRES_HOST_AUTH_METHOD
    if [ -z "$method" ]; then
        method=$(postgres -C password_encryption "$@")
    fi
    {
        printf '\n'
        if [ "$method" = trust ]; then
            printf '# "trust" lets anybody in who reaches the port\n'
        fi
        printf 'host all all all %s\n' "$method"
    } >> "$PGDATA/pg_hba.conf"
}

# Usage: start_temporary_server [OPTION...]. Listens on the socket alone, so that nobody outside
# sees a database that is not finished.
start_temporary_server() {
    set -- "$@" -c listen_addresses='' -p "${PGPORT:-5432}"
    # No notification for this one: the real server is still to come.
    NOTIFY_SOCKET='' PGUSER="${PGUSER:-$POSTGRES_USER}" \
        pg_ctl -D "$PGDATA" -o "$(printf '%q ' "$@")" -w start
}

stop_temporary_server() {
    PGUSER="${PGUSER:-postgres}" pg_ctl -D "$PGDATA" -m fast -w stop
}

# Usage: docker_process_sql [PSQL_ARGUMENT...]. Init scripts may call it, hence its name.
docker_process_sql() {
    local query=(psql -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" --no-password --no-psqlrc)
    if [ "${POSTGRES_DB:-}" ]; then
        query+=(--dbname "$POSTGRES_DB")
    fi
    PGHOST='' PGHOSTADDR='' "${query[@]}" "$@"
}

create_database() {
    local exists
    # The last --dbname wins: the database itself is not there yet.
    exists=$(
        docker_process_sql --dbname postgres --set db="$POSTGRES_DB" --tuples-only \
            <<< "SELECT 1 FROM pg_database WHERE datname = :'db';"
    )
    if [ -z "$exists" ]; then
        docker_process_sql --dbname postgres --set db="$POSTGRES_DB" <<< 'CREATE DATABASE :"db";'
    fi
}

# Usage: run_init_files FILE...
run_init_files() {
    local file
    printf '\n'
    for file; do
        [ -e "$file" ] || continue # an empty directory leaves the pattern itself
        case $file in
            *.sh)
                if [ -x "$file" ]; then
                    printf '%s: running %s\n' "$0" "$file"
                    "$file"
                else
                    printf '%s: sourcing %s\n' "$0" "$file"
                    # shellcheck source=/dev/null
                    . "$file"
                fi
                ;;
            *.sql) printf '%s: running %s\n' "$0" "$file"; docker_process_sql -f "$file" ;;
            *.sql.gz) printf '%s: running %s\n' "$0" "$file"; gunzip -c "$file" | docker_process_sql ;;
            *.sql.xz) printf '%s: running %s\n' "$0" "$file"; xzcat "$file" | docker_process_sql ;;
            *.sql.zst) printf '%s: running %s\n' "$0" "$file"; zstd -dc "$file" | docker_process_sql ;;
            *) printf '%s: ignoring %s\n' "$0" "$file" ;;
        esac
        printf '\n'
    done
}

# Usage: make_cluster [postgres] [OPTION...], the options being the server's.
make_cluster() {
    if [ "${1:-}" = postgres ]; then
        shift
    fi
    require_password
    refuse_old_layout
    # Readable early: a listing that fails must fail before there is a half-made cluster.
    ls /docker-entrypoint-initdb.d/ > /dev/null
    init_cluster
    allow_remote_connections "$@"
    export PGPASSWORD=${PGPASSWORD:-$POSTGRES_PASSWORD}
    start_temporary_server "$@"
    create_database
    run_init_files /docker-entrypoint-initdb.d/*
    stop_temporary_server
    unset PGPASSWORD
    printf '\nPostgreSQL init process complete; ready for start up.\n\n'
}

# Usage: asks_for_information ARGUMENT... Such a call must not make a cluster.
asks_for_information() {
    local argument
    for argument; do
        case $argument in
            -'?' | --help | --describe-config | -V | --version) return 0 ;;
        esac
    done
    return 1
}

was_sourced() {
    [ "${#FUNCNAME[@]}" -ge 2 ] && [ "${FUNCNAME[0]}" = was_sourced ] && [ "${FUNCNAME[1]}" = source ]
}

main() {
    if [ "${1:0:1}" = - ]; then
        set -- postgres "$@"
    fi
    if [ "${1:-}" = postgres ] && ! asks_for_information "$@"; then
        # Secrets are read here, while root: a file only root may read works.
        load_settings
        make_directories
        if [ "$(id -u)" = 0 ]; then
            exec gosu postgres "${BASH_SOURCE[0]}" "$@"
        fi
        if [ -z "$cluster_exists" ]; then
            make_cluster "$@"
        else
            printf '\nPostgreSQL Database directory appears to contain a database; Skipping initialization\n\n'
        fi
    fi
    exec "$@"
}

if ! was_sourced; then
    main "$@"
fi

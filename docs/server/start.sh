#!/usr/bin/env bash
# Start `mlflow server` on a PostgreSQL database of its own, without docker or systemd.
#
#     docs/server/start.sh FOLDER [PORT]
#
# Both run until Ctrl-C or SIGTERM. FOLDER keeps the database and the files of runs, and can be
# started again. The server listens on 127.0.0.1 alone. The database listens on no port, only on a
# socket in a folder that nobody else may enter; as root, it is run by the user postgres.
set -euo pipefail

folder=$(realpath -m "${1:?name a folder: docs/server/start.sh FOLDER [PORT]}")
port=${2:-5000}
PATH="$PATH:$(find /usr/lib/postgresql -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -n 1 || true)"
for needed in initdb mlflow; do
    if ! command -v $needed >/dev/null; then
        echo "$needed is missing: apt-get install postgresql; pip install mlflow psycopg2-binary" >&2
        exit 2
    fi
done

as_owner=()
if [ "$(id -u)" = 0 ]; then # PostgreSQL refuses to be run by root
    as_owner=(setpriv --reuid=postgres --regid=postgres --init-groups)
fi
mkdir -p "$folder"
sockets=$(mktemp -d) # a short path: a socket's name may have 107 bytes
if [ "$(id -u)" = 0 ]; then
    mkdir -p "$folder/postgresql"
    chown postgres: "$folder/postgresql" "$sockets"
fi
if [ ! -e "$folder/postgresql/PG_VERSION" ]; then
    "${as_owner[@]}" initdb -D "$folder/postgresql" -U mlflow -A trust -E UTF8 --locale=C.UTF-8 >&2
fi

end() { # SIGNAL PROCESS
    [ -z "$2" ] || kill "-$1" "$2" 2>/dev/null || true
    [ -z "$2" ] || wait "$2" || true
}
stop() { # the server first, which writes to the database
    trap '' INT TERM
    end TERM "$server"
    end INT "$database"
    rm -rf "$sockets"
}
server='' database=''
trap stop EXIT
trap exit INT TERM

"${as_owner[@]}" postgres -D "$folder/postgresql" -k "$sockets" -c listen_addresses= &
database=$!
until pg_isready -q -h "$sockets" -U mlflow -d postgres; do
    kill -0 $database
    sleep 0.2
done

PYTHONPATH="$(dirname "$(realpath "$0")")/python${PYTHONPATH:+:$PYTHONPATH}" # see there
export PYTHONPATH
export MLFLOW_BACKEND_STORE_URI="postgresql+psycopg2://mlflow@/postgres?host=$sockets"
export MLFLOW_DISABLE_TELEMETRY=true MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false
mlflow server --workers 1 --host 127.0.0.1 --port "$port" \
    --artifacts-destination "$folder/artifacts" &
server=$!
wait -n || true # for the first that ends; MLflow's exit code is 0 even where its port is taken
echo "the server or its database has ended; what it said is above" >&2
exit 1

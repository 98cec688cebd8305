#!/bin/sh
# Starts the server in the place of this shell, so that it receives the signals meant for it.
#
# Takes what MI's script takes: start, stop, restart, version, run, --debug N, --car NAME or car NAME, --env-file=PATH, -Dkey=value.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
CARBON_HOME=${CARBON_HOME:-$here}
export CARBON_HOME
binary="$here/bin/micro-integrator"
pid_file="$CARBON_HOME/wso2carbon.pid"

# JVM settings mean nothing here, except the -D pairs that people hide in JAVA_OPTS.
if [ -n "${JAVA_OPTS:-}" ]; then
    for word in $JAVA_OPTS; do
        case "$word" in -D*) set -- "$@" "$word" ;; esac
    done
fi

command=run
count=$#
while [ "$count" -gt 0 ]; do
    word=$1
    shift
    count=$((count - 1))
    case "$word" in
        start|stop|restart|version) command=$word ;;
        run) ;;
        --debug|-debug)
            echo "--debug: there is no Java debugger to attach; ignored" >&2
            if [ "$count" -gt 0 ]; then shift; count=$((count - 1)); fi ;;
        --car|-car|car)
            if [ "$count" -eq 0 ]; then echo "$word: the name of an application is missing" >&2; exit 1; fi
            set -- "$@" "--car=$1"
            shift; count=$((count - 1)) ;;
        -X*) echo "$word: a JVM setting; ignored" >&2 ;;
        --env-file=*)
            set -a
            # shellcheck disable=SC1090
            . "${word#--env-file=}"
            set +a ;;
        *) set -- "$@" "$word" ;;
    esac
done

stop_running() {
    [ -f "$pid_file" ] || { echo "not running: no $pid_file" >&2; return 1; }
    pid=$(cat "$pid_file")
    kill -TERM "$pid" 2>/dev/null || return 0
    while kill -0 "$pid" 2>/dev/null; do sleep 0.2; done
}

case "$command" in
    version) exec "$binary" --version ;;
    stop) stop_running; exit $? ;;
    restart) stop_running || true ;;
esac

# A read-only home has no pid file; the orchestrator knows the process anyway.
( echo $$ > "$pid_file" ) 2>/dev/null || true

if [ "$command" = start ]; then
    # In the background, as MI's `start` does; the output goes where MI's goes.
    mkdir -p "$CARBON_HOME/repository/logs"
    nohup "$binary" --home "$CARBON_HOME" "$@" >> "$CARBON_HOME/repository/logs/wso2carbon.log" 2>&1 &
    echo $! > "$pid_file"
    exit 0
fi
exec "$binary" --home "$CARBON_HOME" "$@"

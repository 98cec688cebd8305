#!/bin/sh
# Takes over the mounted configuration and becomes the server.
set -eu

config_volume="${WORKING_DIRECTORY:?}/wso2-config-volume"

test -d "$WORKING_DIRECTORY" || { echo "no working directory $WORKING_DIRECTORY" >&2; exit 1; }
test -d "${WSO2_SERVER_HOME:?}" || { echo "no server home $WSO2_SERVER_HOME" >&2; exit 1; }

# A ConfigMap mount is full of links, hence -L. With a read-only root file system, mount the files at their places instead.
if test -d "$config_volume" && [ -n "$(ls -A "$config_volume")" ]; then
    cp -RL "$config_volume"/* "$WSO2_SERVER_HOME/"
fi

exec "$WSO2_SERVER_HOME/bin/micro-integrator.sh" "$@"

#!/bin/sh
# Lays out a home as the image has it; run in the image, and by the check of it.
#
#   layout.sh SOURCES BINARY HOME_DIR VERSION
#
# SOURCES is a checkout, HOME_DIR the home of the user with the server's home wso2mi-VERSION in it.
set -eu

sources=$1
binary=$2
home=$3
server=$home/wso2mi-$4

# The folders exist even when empty: `COPY x.car …/carbonapps` would otherwise make a file of that name.
mkdir -p "$server/bin" "$server/conf/security" "$server/lib" "$server/dropins" "$server/tmp" "$server/registry" \
    "$server/repository/deployment/server/carbonapps" "$server/repository/deployment/server/dataservices" \
    "$server/repository/deployment/server/synapse-configs/default" "$server/repository/resources/security" \
    "$server/repository/logs" "$home/wso2-config-volume"
install -m 0755 "$sources/deployment/image/docker-entrypoint.sh" "$home/docker-entrypoint.sh"
install -m 0755 "$sources/deployment/image/micro-integrator.sh" "$server/bin/micro-integrator.sh"
install -m 0755 "$binary" "$server/bin/micro-integrator"
install -m 0644 "$sources/LICENSE" "$server/LICENSE"
# Applications in an image do not change.
sed 's/^hot_deployment = true/hot_deployment = false/' "$sources/deployment/deployment.toml" > "$server/conf/deployment.toml"
chmod 0644 "$server/conf/deployment.toml"
# Group 0 may write what the owner may, so that the image runs under 802, 10802 and the random ids of OpenShift alike.
chmod -R g=u "$home"
# Dockerfiles that name the version of older releases find the same place.
for other in 1.1.0 1.2.0 4.0.0 4.1.0 4.2.0 4.3.0; do
    [ -e "$home/wso2mi-$other" ] || ln -s "wso2mi-$4" "$home/wso2mi-$other"
done

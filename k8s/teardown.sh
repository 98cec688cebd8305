#!/bin/sh
# Takes an overlay away: what brings traffic first, then the pods, then what they had mounted. It can be run again, and
# goes on where things are gone already. A claim that a pod still uses could not be deleted, hence the order.
#
#   k8s/teardown.sh [single|replicated|http|poller|monitoring|gateway]
set -eu

overlay=${1:-http}
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
folder="$here/overlays/$overlay"
test -d "$folder" || { echo "there is no overlay $overlay" >&2; exit 1; }

gone() { kubectl -n wso2mi delete --ignore-not-found --wait "$@"; }

gone ingress/micro-integrator
if [ "$overlay" = gateway ]; then
    gone httproute.gateway.networking.k8s.io/micro-integrator gateway.gateway.networking.k8s.io/micro-integrator
fi
gone horizontalpodautoscaler/micro-integrator
gone deployment/micro-integrator
kubectl -n wso2mi wait --for=delete pod -l deployment=micro-integrator --timeout=120s
# Services, claims, volumes and the namespace.
kubectl delete -k "$folder" --ignore-not-found --wait

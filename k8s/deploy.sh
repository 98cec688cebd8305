#!/bin/sh
# Applies an overlay and waits until its pods are ready. It can be run again at any time.
#
#   k8s/deploy.sh [single|replicated|http|poller|poller-leases|monitoring|gateway]
set -eu

overlay=${1:-http}
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
folder="$here/overlays/$overlay"
test -d "$folder" || { echo "there is no overlay $overlay; there are: $(ls "$here/overlays" | tr '\n' ' ')" >&2; exit 1; }

kubectl apply -k "$folder"
kubectl -n wso2mi rollout status deployment/micro-integrator --timeout=120s
# As a client would: through the Service, whatever leads to it from outside.
kubectl get --raw /api/v1/namespaces/wso2mi/services/micro-integrator:pass-through-http/proxy/healthz
echo

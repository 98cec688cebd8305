#!/bin/sh
# CPU time per request of nginx's proxy_pass, the bare relay (examples/relay.rs) and the server with a pass-through API,
# side by side.
#
#   benches/direct.sh [path of the built relay] [rounds] [seconds] [path of the built server]
#
# The proxy has core 0 and one worker, wrk and the back end (nginx `return 200`) have core 1. Needs nginx, wrk, taskset.
# The best round counts: other work on the machine only ever adds.
set -eu
relay=${1:-target/release/examples/relay}
rounds=${2:-3}
seconds=${3:-5}
server=${4:-target/release/micro-integrator}
dir=$(mktemp -d)
trap 'kill $(cat "$dir"/*.pid) 2>/dev/null || true; rm -rf "$dir"' EXIT INT TERM
body=$(head -c 1024 /dev/zero | tr '\0' x)

conf() { # name, server block
    cat > "$dir/$1.conf" <<CONF
worker_processes 1;
daemon on;
pid $dir/$1.pid;
error_log /dev/null crit;
events { worker_connections 4096; }
http {
    access_log off;
    client_body_temp_path $dir; proxy_temp_path $dir; fastcgi_temp_path $dir; uwsgi_temp_path $dir; scgi_temp_path $dir;
    keepalive_requests 1000000000;
    $2
}
CONF
}
conf backend "server { listen 127.0.0.1:18290; location / { default_type text/plain; return 200 $body; } }"
conf proxy "upstream b { server 127.0.0.1:18290; keepalive 256; keepalive_requests 1000000000; }
    server { listen 127.0.0.1:18291; location / { proxy_pass http://b; proxy_http_version 1.1; proxy_set_header Connection \"\"; } }"
cat > "$dir/post.lua" <<LUA
wrk.method = "POST"
wrk.body = string.rep("x", 1024)
wrk.headers["Content-Type"] = "text/plain"
LUA
taskset -c 1 nginx -c "$dir/backend.conf"
taskset -c 0 nginx -c "$dir/proxy.conf"
taskset -c 0 "$relay" 127.0.0.1:18292 127.0.0.1:18290 1 & echo $! > "$dir/relay.pid"
apis=$dir/home/repository/deployment/server/synapse-configs/default/api
mkdir -p "$apis"
cat > "$apis/direct.xml" <<XML
<api xmlns="http://ws.apache.org/ns/synapse" name="Direct" context="/x">
    <resource methods="POST">
        <inSequence>
            <call><endpoint><address uri="http://127.0.0.1:18290/"/></endpoint></call>
            <respond/>
        </inSequence>
    </resource>
</api>
XML
taskset -c 0 "$server" --home "$dir/home" -DportOffset=10013 > "$dir/server.log" 2>&1 & echo $! > "$dir/server.pid"
for port in 18292 18293; do
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        wrk -t1 -c1 -d1s "http://127.0.0.1:$port/" >/dev/null 2>&1 && break
    done
done

ticks() { awk '{ print $14 + $15 }' "/proc/$1/stat"; }
measure() { # name, pid, port
    before=$(ticks "$2")
    taskset -c 1 wrk -t1 -c100 -d"${seconds}s" -s "$dir/post.lua" "http://127.0.0.1:$3/x" > "$dir/out"
    after=$(ticks "$2")
    requests=$(awk '/requests in/ { print $1 }' "$dir/out")
    grep -E 'Non-2xx|Socket errors' "$dir/out" || true
    awk -v n="$1" -v t=$((after - before)) -v r="$requests" -v s="$seconds" -v hz="$(getconf CLK_TCK)" \
        'BEGIN { printf "%-6s %8.0f requests/s %7.2f us CPU/request\n", n, r / s, t / hz * 1e6 / r }'
}
worker=$(pgrep -P "$(cat "$dir/proxy.pid")")
for _ in $(seq "$rounds"); do
    measure nginx "$worker" 18291
    measure relay "$(cat "$dir/relay.pid")" 18292
    measure server "$(cat "$dir/server.pid")" 18293
done

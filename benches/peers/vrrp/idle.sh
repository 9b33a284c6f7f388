#!/bin/bash
# What a pair of nodes costs at rest: CPU time of all threads of all processes, and memory. One line of JSON, as failover.sh
# prints it.
#   ./idle.sh TAG NODE-COMMAND [SECONDS=30]
# failover.sh has a figure for this, too, but of the first thread of each process only: the adverts of trunkline are
# another thread's.
set -euo pipefail
tag=$1 node=$2 seconds=${3:-30}
prefix=vi$$-
state=$(mktemp -d)
declare -A leader
finish() {
    local name pid
    for name in "${!leader[@]}"; do
        for pid in $(pids "$name"); do kill "$pid" 2> /dev/null || true; done
    done
    wait 2> /dev/null || true
    for name in a b; do ip netns del "$prefix$name" 2> /dev/null || true; done
    rm -rf "$state"
}
trap finish EXIT
pids() { ip netns pids "$prefix$1"; }

# Nanoseconds on a CPU of all threads in a namespace.
cpu() {
    local pid
    for pid in $(pids "$1"); do cat "/proc/$pid"/task/*/schedstat 2> /dev/null || true; done | awk '{ sum += $1 } END { printf "%d", sum }'
}

pss() {
    local pid
    for pid in $(pids "$1"); do cat "/proc/$pid/smaps_rollup" 2> /dev/null || true; done | awk '/^Pss:/ { sum += $2 } END { printf "%d", sum }'
}

for name in a b; do ip netns add "$prefix$name"; done
ip -n "${prefix}a" link add eth0 type veth peer name eth0 netns "${prefix}b"
host=1
for name in b a; do
    ip -n "$prefix$name" link set lo up
    ip -n "$prefix$name" link set eth0 up
    ip -n "$prefix$name" addr add "10.98.0.$host/24" dev eth0
    # shellcheck disable=SC2086 # the command has arguments
    VR_NODE=$name VR_IF=eth0 VR_VIP=10.98.0.100 VR_STATE=$state ip netns exec "$prefix$name" $node > "$state/$name.log" 2>&1 &
    leader[$name]=$!
    host=$((host + 1))
done
# Until the announcements after taking over are done.
sleep 12
a0=$(cpu a) b0=$(cpu b)
sleep "$seconds"
a1=$(cpu a) b1=$(cpu b)
if ! ip -n "${prefix}a" addr show | grep -q 10.98.0.100 || ip -n "${prefix}b" addr show | grep -q 10.98.0.100; then
    echo "{\"kind\": \"idle\", \"error\": \"a does not hold the address alone\"}"
    exit 1
fi
awk -v tag="$tag" -v a=$((a1 - a0)) -v b=$((b1 - b0)) -v s="$seconds" -v ka="$(pss a)" -v kb="$(pss b)" 'BEGIN {
    printf "{\"kind\": \"idle\", \"tag\": \"%s\", \"cpu_a_pct\": %.4f, \"cpu_b_pct\": %.4f, \"pss_a_kb\": %d, \"pss_b_kb\": %d}\n",
        tag, a / s / 1e7, b / s / 1e7, ka, kb
}'

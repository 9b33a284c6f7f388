#!/bin/bash
# Runs Keepalived and trunkline through the same failures, and prints their tables side by side.
#   ./run.sh [--repeat 3] [--settings "2:1 3:0.1 3:0.01"] [--kinds kill,check,stop,link,split,idle] [--out DIR]
# Needs root, iproute2, Python 3 and Debian's keepalived, and the harness (HARNESS, see README.md). TRUNKLINE: the program,
# else a release build.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
root=$here/../../..
harness=${HARNESS:-$root/../shared/peers/vrrp}
repeat=3 settings="2:1 3:0.1 3:0.01" kinds=kill,check,stop,link,split,idle out=
while [ $# -gt 0 ]; do
    case $1 in
        --repeat) repeat=$2 ;;
        --settings) settings=$2 ;;
        --kinds) kinds=$2 ;;
        --out) out=$2 ;;
        *) sed -n 2,5p "$0" >&2; exit 2 ;;
    esac
    shift 2
done
if [ -z "${TRUNKLINE:-}" ]; then
    (cd "$root" && cargo build --quiet --release -p trunkline-tokio)
    TRUNKLINE=${CARGO_TARGET_DIR:-$root/target}/release/trunkline
fi
export TRUNKLINE
[ -n "$out" ] || out=$(mktemp -d)
mkdir -p "$out"
for setting in $settings; do
    version=${setting%%:*} interval=${setting#*:}
    for program in keepalived trunkline; do
        node=$here/sut.sh
        [ $program = keepalived ] && node=$harness/keepalived-node.sh
        "$harness/failover.sh" --a-cmd "$node $version $interval" --b-cmd "$node $version $interval" --kinds "$kinds" \
            --repeat "$repeat" --prefix "vb$$-" --work "$out" --tag "$program v$version ${interval}s" \
            > "$out/$program-v$version-$interval.jsonl"
    done
done
python3 "$here/compare.py" "$out"/*.jsonl

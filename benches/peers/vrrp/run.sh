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
# At rest it is this bench that looks, see idle.sh.
events=$(tr , '\n' <<< "$kinds" | grep -vx idle | paste -sd , || true)
for setting in $settings; do
    version=${setting%%:*} interval=${setting#*:}
    for program in keepalived trunkline; do
        node=$here/sut.sh
        [ $program = keepalived ] && node=$harness/keepalived-node.sh
        tag="$program v$version ${interval}s"
        result=$out/$program-v$version-$interval.jsonl
        : > "$result"
        [ -z "$events" ] || "$harness/failover.sh" --a-cmd "$node $version $interval" --b-cmd "$node $version $interval" --kinds "$events" \
            --repeat "$repeat" --prefix "vb$$-" --work "$out" --tag "$tag" >> "$result"
        [[ ,$kinds, != *,idle,* ]] || "$here/idle.sh" "$tag" "$node $version $interval" >> "$result"
    done
done
python3 "$here/compare.py" "$out"/*.jsonl

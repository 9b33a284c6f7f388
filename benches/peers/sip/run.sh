#!/bin/sh
# Builds trunkline and the load tools, runs Kamailio and trunkline under the same loads, prints both and the ratio.
#   ./run.sh [--rates 200,1000,2000,3000] [--seconds 10] [--repeat 3] [--json FILE] [--only kamailio|trunkline] ...
# Needs Debian's kamailio and sip-tester. As root it works in a network namespace of its own. ./run.sh --help says the rest.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cd "$here"
if [ -z "${TRUNKLINE:-}" ]; then
    cargo build --quiet --release -p trunkline-tokio
fi
if [ -z "${TOOLS:-}" ]; then
    cargo build --quiet --release -p trunkline-benches --bins
    TOOLS=${CARGO_TARGET_DIR:-$here/../../../target}/release
fi
export TOOLS
if [ "$(id -u)" -eq 0 ] && [ -z "${NO_NETNS:-}" ]; then
    # SO_RCVBUF is cut down to this; both sides ask for 4 MiB.
    [ "$(sysctl -n net.core.rmem_max)" -ge 8388608 ] || sysctl -qw net.core.rmem_max=8388608
    exec unshare --net -- sh -c 'ip link set lo up && exec python3 compare.py "$@"' compare.py "$@"
fi
exec python3 compare.py "$@"

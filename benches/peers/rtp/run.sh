#!/bin/sh
# Runs rtpengine-daemon, trunkline-relay and the bare io_uring forwarder under the same calls, in turn, and prints CPU a packet,
# loss, delay, memory and set-up cost of each, with ratios.
#   ./run.sh [--calls 500,1000,2000] [--seconds 3] [--warmup 5] [--repeat 3] [--json FILE] [--where loopback|veth]
# Needs Debian's rtpengine-daemon, and the load generator and forwarder of PEERS (default: shared/peers/rtp beside this
# repository; TOOLS names their target/release). veth needs root. On a machine that does other things: SCHED='chrt -f 20'.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
PEERS=${PEERS:-$here/../../../../shared/peers/rtp}
TOOLS=${TOOLS:-$PEERS/target/release}
if [ ! -x "$PEERS/run_relay.sh" ] || [ ! -x "$TOOLS/rtpgen" ] || [ ! -x "$TOOLS/rtpfwd" ]; then
    echo "run.sh: no rtpgen and rtpfwd in $TOOLS: build them in $PEERS (./build.sh), or set PEERS and TOOLS" >&2
    exit 1
fi
command -v rtpengine > /dev/null || {
    echo "run.sh: rtpengine is not there: apt-get install rtpengine-daemon" >&2
    exit 1
}
[ -n "${TRUNKLINE_RELAY:-}" ] || (cd "$here" && cargo build --release -q -p trunkline-glommio)
export PEERS TOOLS
exec python3 "$here/compare.py" "$@"

#!/bin/sh
# Runs trunkline-relay in the foreground: RELAY_IP=address for media, RELAY_NG=ip:port of the ng protocol, RELAY_IF=interface
# (unused in user space). RTP ports stay below 32768, where ephemeral ports begin.
#   ./sut.sh [userspace]
# TRUNKLINE_RELAY=the binary (default: the release build of this workspace), RELAY_ARGS=further options.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
case ${1:-userspace} in
userspace) ;;
*)
    echo "sut.sh: there is no path but userspace" >&2
    exit 2
    ;;
esac
ip=${RELAY_IP:-127.0.0.1}
bin=${TRUNKLINE_RELAY:-${CARGO_TARGET_DIR:-$here/../../../target}/release/trunkline-relay}
[ -x "$bin" ] || (cd "$here" && cargo build --release -q -p trunkline-glommio)
# shellcheck disable=SC2086
exec "$bin" --config-file=none --interface="$ip" --listen-ng="${RELAY_NG:-$ip:2223}" --listen-cli=none --ng-allow="$ip/8" \
    --ng-allow=127.0.0.0/8 --port-min=10000 --port-max=31999 --timeout=0 --silent-timeout=0 --drain-timeout=0 --log-level=3 \
    --num-threads=1 ${RELAY_ARGS:-}

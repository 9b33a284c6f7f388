#!/bin/sh
# Runs trunkline in the foreground as a load balancer: SUT_ADDR=ip:port, SUT_BACKENDS="ip:port ...", SUT_RUN=a directory.
# TRUNKLINE=the binary (default: the release build of this workspace), TRUNKLINE_SHARDS=1 (0: one a core).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
run=${SUT_RUN:?a directory}
bin=${TRUNKLINE:-${CARGO_TARGET_DIR:-$here/../../../target}/release/trunkline}
[ -x "$bin" ] || (cd "$here" && cargo build --release -q -p trunkline-tokio)
mkdir -p "$run"
{
    cat <<EOF
[node]
shards = ${TRUNKLINE_SHARDS:-1}
log_level = "warn"

[[listen]]
transport = "udp"
address = "${SUT_ADDR%:*}"
port = ${SUT_ADDR##*:}

[[listen]]
transport = "tcp"
address = "${SUT_ADDR%:*}"
port = ${SUT_ADDR##*:}

[limits]
transactions = 524288
dialogs = 262144

[dispatch.ping]
interval = "2s"
timeout = "1s"

[control]
socket = "$run/control.sock"

[[route]]
name = "calls"
[route.match]
method = ["INVITE"]
[route.dispatch]
set = 1
algorithm = "call-id-hash"

[[set]]
id = 1
EOF
    for target in ${SUT_BACKENDS:?ip:port ip:port ...}; do
        printf '\n[[set.target]]\nuri = "sip:%s"\n' "$target"
    done
} > "$run/trunkline.toml"
exec "$bin" run --config "$run/trunkline.toml"

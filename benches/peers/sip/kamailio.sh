#!/bin/sh
# Runs Debian's Kamailio in the foreground, by the same contract as sut.sh: SUT_ADDR, SUT_BACKENDS, SUT_RUN.
# KAM_WORKERS=2, KAM_MEM=fm (its fast allocator; Debian's default is qm), KAM_RCVBUF=4194304, KAM_SHM=1024 (MiB).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
run=${SUT_RUN:?a directory}
mkdir -p "$run"
for target in ${SUT_BACKENDS:?ip:port ip:port ...}; do echo "1 sip:$target"; done > "$run/dispatcher.list"
sed -e "s|@ADDR@|${SUT_ADDR:?ip:port}|; s|@RUN@|$run|; s|@WORKERS@|${KAM_WORKERS:-2}|" \
    "$here/kamailio.cfg.in" > "$run/kamailio.cfg"
exec kamailio -DD -E -x "${KAM_MEM:-fm}" -X "${KAM_MEM:-fm}" -b "${KAM_RCVBUF:-4194304}" -m "${KAM_SHM:-1024}" -M 16 \
    -f "$run/kamailio.cfg" -Y "$run" -P "$run/pid"

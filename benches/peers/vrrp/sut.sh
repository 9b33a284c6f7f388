#!/bin/bash
# Writes a trunkline.toml for node $VR_NODE and runs `trunkline vrrp` in the foreground: what Keepalived is in the same
# place. Environment by failover.sh: VR_NODE VR_IF VR_VIP VR_STATE.
# sut.sh [version=2] [advert_int=1] [priority=100 on a, 90 on b]
# VRRP_CHECK=file: the health check is a file that is watched, not a script every 3 s. TRUNKLINE: the program.
set -euo pipefail
version=${1:-2} interval=${2:-1}
case $VR_NODE in a) priority=${3:-100} ;; *) priority=${3:-90} ;; esac
here=$(dirname "$(readlink -f "$0")")
trunkline=${TRUNKLINE:-$here/../../../target/release/trunkline}
config=$VR_STATE/trunkline-$VR_NODE.toml
fail=$VR_STATE/fail-$VR_NODE
ms=$(awk -v s="$interval" 'BEGIN { printf "%d", s * 1000 }')
password=
[ "$version" = 2 ] && password='password = "s3cr3tpw"'
addresses="\"$VR_VIP/32\""
[[ $VR_VIP == *:* ]] && addresses="\"fe80::98:100/64\", \"$VR_VIP/128\""
if [ "${VRRP_CHECK:-script}" = file ]; then
    check="[[track.file]]
name = \"check\"
path = \"$fail\"
absent = true"
else
    check="[[track.script]]
name = \"check\"
command = [\"/bin/sh\", \"-c\", \"[ ! -e $fail ]\"]
interval = \"3s\"
fall = 2
rise = 2
assumed_up = true"
fi
cat > "$config" << TOML
[control]
socket = "$VR_STATE/trunkline-$VR_NODE.sock"
[[vrrp]]
name = "VI_SIP"
interface = "$VR_IF"
vrid = 51
version = $version
priority = $priority
advert_interval = "${ms}ms"
$password
addresses = [$addresses]
notify_active = ["/bin/sh", "-c", "echo MASTER >> $VR_STATE/notify-$VR_NODE"]
notify_backup = ["/bin/sh", "-c", "echo BACKUP >> $VR_STATE/notify-$VR_NODE"]
notify_fault = ["/bin/sh", "-c", "echo FAULT >> $VR_STATE/notify-$VR_NODE"]
[[vrrp.track]]
name = "check"
weight = -20
$check
TOML
exec "$trunkline" --config "$config" vrrp

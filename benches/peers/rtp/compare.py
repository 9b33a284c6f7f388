#!/usr/bin/env python3
"""Runs the relays in turn under the same calls, and prints a table. See run.sh."""
import argparse
import json
import os
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
PEERS, TOOLS = os.environ["PEERS"], os.environ["TOOLS"]
RELAYS = ["rtpengine", "trunkline", "bare"]


def command(relay, ip):
    ng = f"{ip}:2223"
    if relay == "rtpengine":
        return subprocess.check_output([f"{PEERS}/rtpengine_cmd.sh", ip, ng], text=True).strip(), []
    if relay == "trunkline":
        return f"env RELAY_IP={ip} RELAY_NG={ng} {HERE}/sut.sh userspace", []
    uring = "--mode=uring --fixed --connect --msg=0 --want=64 --wait-us=1000"
    return f"{TOOLS}/rtpfwd {uring} --ip={ip} --ng={ng}", ["--bench-start"]


def run(relay, calls, args):
    where = []
    ip = "127.0.0.1"
    if args.where == "veth":
        ip = "10.77.0.2"
        threads = subprocess.run(["pgrep", "napi/r0"], capture_output=True, text=True).stdout.split()
        where = ["--ns-sut", "rtpr", "--ns-gen", "rtpg", "--local-ip", "10.77.0.1", "--ktids", ",".join(threads)]
    sut, extra = command(relay, ip)
    line = [f"{PEERS}/run_relay.sh", "--sut-cmd", sut, "--ng", f"{ip}:2223", "--calls", str(calls), "--name", relay]
    line += ["--seconds", str(args.seconds), "--warmup", str(args.warmup), "--gen-args", "--sleep 1"] + where + extra
    out = subprocess.run(line, capture_output=True, text=True, env={**os.environ, "RTPGEN": f"{TOOLS}/rtpgen"})
    for text in out.stdout.splitlines():
        figures = json.loads(text)
        if "cpu_us_per_packet" in figures:
            return figures
    print(f"{relay} at {calls} calls: {out.stdout}{out.stderr}", file=sys.stderr)
    return None


COLUMNS = [
    ("CPU us/packet", lambda f: f["cpu_us_per_packet"], "{:.2f}"),
    ("loss %", lambda f: f["loss_pct"], "{:.3f}"),
    ("p50 us", lambda f: f["p50_us"], "{:.0f}"),
    ("p99 us", lambda f: f["p99_us"], "{:.0f}"),
    ("RSS KB/call", lambda f: f["rss_kb_per_call"], "{:.1f}"),
    ("slab KB/call", lambda f: f["slab_kb_per_call"], "{:.1f}"),
    ("set-up us/call", lambda f: f["setup_cpu_us_per_call"], "{:.0f}"),
]


def table(results, repeat):
    print(f"medians of {repeat}; ratio: CPU a packet over rtpengine's / over the bare forwarder's")
    print(f"{'calls':>6} {'relay':<10}" + "".join(f"{name:>15}" for name, _, _ in COLUMNS) + f"{'ratio':>14}")
    for calls in sorted({calls for calls, _ in results}):
        cpu = {
            relay: statistics.median(f["cpu_us_per_packet"] for f in results[calls, relay])
            for relay in RELAYS if results.get((calls, relay))
        }
        for relay in cpu:
            runs = results[calls, relay]
            cells = "".join(f"{form.format(statistics.median(map(get, runs))):>15}" for _, get, form in COLUMNS)
            ratios = [f"{cpu[relay] / cpu[other]:.2f}" if other in cpu else "-" for other in ("rtpengine", "bare")]
            print(f"{calls:>6} {relay:<10}{cells}{' / '.join(ratios):>14}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", default="500,1000,2000")
    parser.add_argument("--seconds", type=float, default=3)
    # Addresses are learned for 3 s; then sockets are connected.
    parser.add_argument("--warmup", type=float, default=5)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--only", action="append", choices=RELAYS)
    parser.add_argument("--where", choices=["loopback", "veth"], default="loopback")
    parser.add_argument("--json", help="write every figure of every run to this file, a line each")
    args = parser.parse_args()
    results, lines = {}, []
    if args.where == "veth":
        subprocess.run([f"{PEERS}/netns.sh", "up"], check=True, stdout=subprocess.DEVNULL)
    try:
        for _ in range(args.repeat):
            for calls in map(int, args.calls.split(",")):
                for relay in args.only or RELAYS:
                    figures = run(relay, calls, args)
                    if figures:
                        results.setdefault((calls, relay), []).append(figures)
                        lines.append(json.dumps(figures))
    finally:
        if args.where == "veth":
            subprocess.run([f"{PEERS}/netns.sh", "down"], check=False)
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
    table(results, args.repeat)


if __name__ == "__main__":
    main()

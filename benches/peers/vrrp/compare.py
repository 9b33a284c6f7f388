#!/usr/bin/env python3
"""Prints what failover.sh measured of two programs, side by side: least, median and most of each."""
import json
import statistics
import sys

PROGRAMS = ("keepalived", "trunkline")
FIGURES = (("takeover, ms", "takeover_ms"), ("lost pings, c", "lost_pings"), ("lost pings, d", "lost_pings_d"))
IDLE = (("CPU active, %", "cpu_a_pct"), ("CPU backup, %", "cpu_b_pct"), ("memory (PSS), KB", "pss_a_kb"))


def spread(values):
    values = [v for v in values if v is not None]
    if not values:
        return "-"
    if len(values) == 1:
        return f"{values[0]:g}"
    return f"{min(values):.0f}/{statistics.median(values):.0f}/{max(values):.0f}"


def main():
    rows, failed = {}, []
    for path in sys.argv[1:]:
        for line in open(path):
            event = json.loads(line)
            if "error" in event:
                failed.append(f"{path}: {event['kind']}: {event['error']}")
                continue
            program, setting = event["tag"].split(" ", 1)
            rows.setdefault((setting, event["kind"]), {}).setdefault(program, []).append(event)
    print("| setting | event | figure | keepalived | trunkline |\n|---|---|---|---|---|")
    for (setting, kind), programs in rows.items():
        for name, key in IDLE if kind == "idle" else FIGURES:
            cells = [spread([e.get(key) for e in programs.get(p, [])]) for p in PROGRAMS]
            print(f"| {setting} | {kind} | {name} | {' | '.join(cells)} |")
    for line in failed:
        print(line, file=sys.stderr)
    return 1 if failed else 0


sys.exit(main())

#!/usr/bin/env python3
"""Kamailio and trunkline under the same SIP loads: CPU time a call, memory a dialog, OPTIONS, highest clean rate."""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

import load
from system import System

ADDR = "127.0.0.1:5060"
SCRIPTS = {"kamailio": "kamailio.sh", "trunkline": "sut.sh"}


def note(*words):
    print(*words, file=sys.stderr, flush=True)


class Bench:
    def __init__(self, options, name, run):
        self.options, self.name, self.run = options, name, run
        self.nice = ["nice", "-n", "-10"] if os.geteuid() == 0 else []
        self.system, self.servers = None, []

    def __enter__(self):
        backends = [f"{load.HOST}:{port}" for port in load.BACKENDS]
        script = os.path.join(load.HERE, SCRIPTS[self.name])
        self.servers = load.media_servers(self.run, self.nice)
        try:
            self.system = System(script, ADDR, backends, os.path.join(self.run, self.name), self.nice)
        except BaseException:
            self.__exit__()
            raise
        time.sleep(2.5)  # pings have seen the media servers
        return self

    def __exit__(self, *_):
        for server in self.servers:
            server.stop()
        if self.system:
            self.system.stop()

    def play(self, name, rate, calls, hold_ms=100, port=5090):
        return load.caller(name, self.run, self.nice, ADDR, rate, calls, hold_ms, port)

    def calls(self, rate, seconds):
        """Calls at one rate, after some at the same rate that touch the memory they need."""
        self.play("warm", rate, rate * 4).wait(60)
        repeated = sum(s.count("Retransmissions(C)") for s in self.servers)
        drops, cpu, start = load.kernel_drops(ADDR), self.system.cpu_s(), time.time()
        caller = self.play("caller", rate, int(rate * seconds))
        caller.wait(seconds * 2 + 45)
        cpu, wall = self.system.cpu_s() - cpu, time.time() - start
        lost, lost_by_load = (now - then for now, then in zip(load.kernel_drops(ADDR), drops))
        time.sleep(1.2)  # the media servers write their statistics once a second
        refused = caller.refused()
        good = caller.count("SuccessfulCall(C)") - refused
        repeated = caller.count("Retransmissions(C)") + sum(s.count("Retransmissions(C)") for s in self.servers) - repeated
        failed = int(rate * seconds) - good
        if not good:
            note(f"no call came through; SIPp says:\n{caller.last_words()}\n{self.name} says:\n{self.system.last_words()}")
        return {"rate": rate, "calls": good, "failed": failed, "retransmissions": repeated,
                "dropped": lost, "dropped_by_load": lost_by_load, "reached_per_s": round(good / wall, 1),
                "cpu_ms_per_call": round(cpu * 1000 / max(1, good), 4), "clean": failed == 0 and repeated == 0}

    def dialogs(self, first, more, rate):
        """Memory a held call: some calls that stay, more on top of them, and the slope between the two. What calls in
        progress made the memory grow to is in both."""
        self.play("warm", 200, 400).wait(60)
        time.sleep(8)
        first_s, more_s = first / rate, more / rate
        a = self.play("first", rate, first, int((first_s + more_s + 24) * 1000))
        time.sleep(first_s + 9)
        held_a, memory_a = a.count("CurrentCall"), self.system.memory_kib()
        b = self.play("more", rate, more, int((more_s + 14) * 1000), 5091)
        time.sleep(more_s + 9)
        held_b, memory_b = a.count("CurrentCall") + b.count("CurrentCall"), self.system.memory_kib()
        for caller in (a, b):
            caller.wait(first_s + more_s + 90)
        return {"held": held_b, "memory_kib": memory_b, "failed": first + more - sum(
                    c.count("SuccessfulCall(C)") - c.refused() for c in (a, b)),
                "bytes_per_dialog": round((memory_b - memory_a) * 1024 / max(1, held_b - held_a))}

    def ping(self, rate, seconds):
        """OPTIONS to the program itself; rate 0 is a flood with 32 on their way."""
        count = int((rate or 20000) * seconds)
        cpu = self.system.cpu_s()
        result = flood(count, rate)
        return {"rate": rate, **result, "cpu_us_per_request": round((self.system.cpu_s() - cpu) * 1e6 / max(1, result["ok"]), 2)}


def flood(count, rate):
    tool = os.path.join(os.environ["TOOLS"], "sip-flood")
    done = subprocess.run([tool, ADDR, str(count), str(rate)], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def floor(options, run):
    """What the kernel takes for a datagram in and one out: a program that answers and does nothing else."""
    os.environ.setdefault("FLOOR", os.path.join(os.environ["TOOLS"], "sip-floor"))
    script = os.path.join(run, "floor.sh")
    with open(script, "w") as file:
        file.write('#!/bin/sh\nexec "$FLOOR" "$SUT_ADDR"\n')
    os.chmod(script, 0o755)
    bench = Bench(options, "floor", run)
    bench.system = System(script, ADDR, [], os.path.join(run, "floor"), bench.nice)
    try:
        return {"options": [bench.ping(rate, options.options_seconds) for rate in (5000, 0)]}
    finally:
        bench.system.stop()


def highest_clean(options, name, run):
    """The highest rate of the ladder without a failed call or a retransmission, in one of two tries."""
    best = 0
    for rate in options.ladder:
        tries = []
        for _ in range(2):
            with Bench(options, name, run) as bench:
                tries.append(bench.calls(rate, options.ladder_seconds))
            if tries[-1]["clean"]:
                break
        note(f"{name}: {rate}/s", "clean" if tries[-1]["clean"] else f"not clean: {tries[-1]}")
        if not tries[-1]["clean"]:
            break
        best = max(best, int(tries[-1]["reached_per_s"]))
        if tries[-1]["reached_per_s"] < 0.8 * rate:
            note("SIPp does not reach that rate on this machine")
            break
    return best


def measure(options, names, run):
    """All of it, the programs in turn, so that a machine that gets slower or faster meanwhile does so for both."""
    results = {name: {"calls": []} for name in names}

    def each(what, key, work):
        if what in options.skip:
            return
        for name in names:
            with Bench(options, name, run) as bench:
                results[name][key] = work(bench)
            note(f"{name}: {results[name][key]}")

    for rate in options.rates:
        for _ in range(options.repeat):
            for name in names:
                with Bench(options, name, run) as bench:
                    results[name]["calls"].append(bench.calls(rate, options.seconds))
                note(f"{name}: {results[name]['calls'][-1]}")
    each("hold", "dialogs", lambda bench: bench.dialogs(options.hold, options.hold * 3, 500))
    each("options", "options", lambda bench: [bench.ping(rate, options.options_seconds) for rate in (5000, 0)])
    if "options" not in options.skip:
        results["floor"] = floor(options, run)
    if "ladder" not in options.skip:
        for name in names:
            results[name]["highest_clean_per_s"] = highest_clean(options, name, run)
    return results


def rows(options):
    """(what, unit, how to find the figure in a result, whether less is better)"""
    def calls(rate):
        def find(result):
            runs = [c["cpu_ms_per_call"] for c in result.get("calls", []) if c["rate"] == rate and c["calls"]]
            return statistics.median(runs) if runs else None
        return find

    def ping(index):
        return lambda result: result["options"][index]["cpu_us_per_request"] if "options" in result else None

    for rate in options.rates:
        yield f"CPU a call at {rate}/s", "ms", calls(rate)
    yield "memory a dialog", "bytes", lambda r: r.get("dialogs", {}).get("bytes_per_dialog")
    yield "CPU an OPTIONS at 5000/s", "µs", ping(0)
    yield "CPU an OPTIONS in a flood", "µs", ping(1)
    yield "highest clean rate", "calls/s", lambda r: r.get("highest_clean_per_s")


def table(results, options):
    names = list(results)
    print(f"{'':<30}" + "".join(f"{name:>14}" for name in names) + f"{'ratio':>10}")
    for what, unit, find in rows(options):
        figures = [find(results[name]) for name in names]
        line = f"{what + ', ' + unit:<30}" + "".join(f"{'-' if f is None else f:>14}" for f in figures)
        pair = [find(results.get(name, {})) for name in ("trunkline", "kamailio")]
        print(line + (f"{pair[0] / pair[1]:>10.2f}" if all(pair) else ""))
    dirty = [f"{name} at {c['rate']}/s: {c['failed']} failed, {c['retransmissions']} retransmissions"
             for name in names for c in results[name].get("calls", []) if not c["clean"]]
    if dirty:
        print("not clean: " + "; ".join(dirty))


def main():
    numbers = lambda text: [int(n) for n in text.split(",") if n]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rates", type=numbers, default=[200, 500, 1000, 2000, 3000], help="calls a second")
    parser.add_argument("--seconds", type=float, default=10, help="of load at each rate")
    parser.add_argument("--repeat", type=int, default=3, help="runs at each rate; the table shows the median")
    parser.add_argument("--hold", type=int, default=5000, help="calls held at first; three times as many come on top")
    parser.add_argument("--options-seconds", type=float, default=5)
    parser.add_argument("--ladder", type=numbers, default=[2000, 4000, 5000, 6000, 8000, 10000], help="rates tried for the highest")
    parser.add_argument("--ladder-seconds", type=float, default=6)
    parser.add_argument("--skip", action="append", default=[], choices=["hold", "options", "ladder"])
    parser.add_argument("--only", action="append", choices=list(SCRIPTS))
    parser.add_argument("--json", metavar="FILE", help="write all figures there; - prints them in place of the table")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sip-bench-") as run:
        results = measure(options, list(options.only or SCRIPTS), run)
    if options.json and options.json != "-":
        with open(options.json, "w") as file:
            json.dump(results, file, indent=1)
    if options.json == "-":
        print(json.dumps(results, indent=1))
    else:
        table(results, options)


if __name__ == "__main__":
    main()

"""SIPp as caller and as media servers."""
import csv
import os
import subprocess
import time

HERE = os.path.dirname(os.path.abspath(__file__))
HOST = "127.0.0.1"
BACKENDS = [5071, 5072, 5073]


class Sipp:
    def __init__(self, name, scenario, run, nice, *args):
        directory = os.path.join(run, name)
        os.makedirs(directory, exist_ok=True)
        self.statistics = os.path.join(directory, "statistics.csv")
        self.output = os.path.join(directory, "output")
        if os.path.exists(self.statistics):
            os.unlink(self.statistics)
        command = ["sipp", "-sf", os.path.join(HERE, "scenarios", scenario), "-nostdin", "-i", HOST, "-buff_size",
                   "4000000", "-l", "100000", "-trace_stat", "-fd", "1", "-stf", self.statistics]
        with open(self.output, "wb") as out:
            self.process = subprocess.Popen([*nice, *command, *map(str, args)], cwd=directory, stdout=out, stderr=out,
                                            stdin=subprocess.DEVNULL)

    def wait(self, seconds):
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.stop()

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(3)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def count(self, *columns):
        """The sum of these columns in the last line of its statistics."""
        if not os.path.exists(self.statistics):
            return 0
        with open(self.statistics, newline="") as file:
            rows = [row for row in csv.reader(file, delimiter=";") if len(row) > 20]
        if len(rows) < 2:
            return 0
        last = dict(zip(rows[0], rows[-1]))
        return sum(int(last.get(column) or 0) for column in columns)

    def last_words(self):
        """What it says about its end, among the screens that it paints."""
        with open(self.output, errors="replace") as output:
            lines = [line for line in output.read().splitlines() if line[:2] not in ("", "  ", "--")]
        return "\n".join(lines[:5] + lines[-15:])

    def refused(self):
        return self.count("refused(C)")


def media_servers(run, nice, tries=3):
    """Three of them; they ring for 30 ms, since a 200 right behind its 180 may overtake it in a program of many processes."""
    servers = [Sipp(f"server{port}", "uas.xml", run, nice, "-p", port, "-d", 30, "-deadcall_wait", 1000)
               for port in BACKENDS]
    time.sleep(0.8)
    ended = [server for server in servers if server.process.poll() is not None]
    if not ended:
        return servers
    for server in servers:
        server.stop()
    if tries == 1:
        raise SystemExit("SIPp does not start:\n" + ended[0].last_words())
    # After a run that was not clean SIPp ends at its start now and then.
    time.sleep(2)
    return media_servers(run, nice, tries - 1)


def caller(name, run, nice, addr, rate, calls, hold_ms, port=5090):
    return Sipp(name, "uac.xml", run, nice, "-p", port, "-r", rate, "-rp", 1000, "-m", calls, "-s", "service", "-d",
                hold_ms, "-deadcall_wait", 500, "-recv_timeout", 10000 + hold_ms, addr)


def kernel_drops(addr):
    """Datagrams that found a receive buffer full: the program's at `addr`, and all others in this network namespace."""
    port, ours = int(addr.rsplit(":", 1)[1]), 0
    with open("/proc/net/udp") as file:
        for fields in map(str.split, list(file)[1:]):
            if int(fields[1].split(":")[1], 16) == port:
                ours += int(fields[12])
    with open("/proc/net/snmp") as file:
        names, values = [line.split()[1:] for line in file if line.startswith("Udp:")]
    return ours, int(dict(zip(names, values))["RcvbufErrors"]) - ours

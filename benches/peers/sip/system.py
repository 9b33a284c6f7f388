"""The program under test, and what it uses: the scheduler's nanoseconds and the memory of its whole process tree."""
import os
import signal
import socket
import subprocess
import time


def read(path):
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""


def parents():
    """(parent, session) of every process, by its number."""
    found = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        stat = read(f"/proc/{name}/stat")
        if stat:
            fields = stat[stat.rindex(")") + 2:].split()
            found[int(name)] = (int(fields[1]), int(fields[3]))
    return found


class System:
    """Runs `script` in the foreground by the contract of the README, in a session of its own."""

    def __init__(self, script, addr, backends, run, nice):
        os.makedirs(run, exist_ok=True)
        self.addr, self.log = addr, os.path.join(run, "log")
        env = dict(os.environ, SUT_ADDR=addr, SUT_BACKENDS=" ".join(backends), SUT_RUN=run)
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [*nice, script], stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=env, start_new_session=True)
        self.wait_until_it_answers()

    def wait_until_it_answers(self):
        host, port = self.addr.rsplit(":", 1)
        probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        probe.bind((host, 0))
        probe.settimeout(0.2)
        me = "%s:%d" % probe.getsockname()
        for n in range(75):
            options = (
                f"OPTIONS sip:{self.addr} SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bKup{n}\r\nMax-Forwards: 70\r\n"
                f"From: <sip:up@{me}>;tag=up{n}\r\nTo: <sip:{self.addr}>\r\nCall-ID: up{n}\r\nCSeq: 1 OPTIONS\r\n"
                "Content-Length: 0\r\n\r\n")
            try:
                probe.sendto(options.encode(), (host, int(port)))
                if probe.recv(4096).startswith(b"SIP/2.0 200"):
                    return
            except OSError:
                time.sleep(0.2)
            if self.process.poll() is not None:
                break
        self.stop()
        raise SystemExit(f"nobody answers on {self.addr}:\n{self.last_words()}")

    def last_words(self):
        return read(self.log)[-2000:]

    def tree(self):
        """Its processes: its session and all that descends from it."""
        everybody, root = parents(), self.process.pid
        found = {root} | {pid for pid, (_, session) in everybody.items() if session == root}
        while more := {pid for pid, (parent, _) in everybody.items() if parent in found} - found:
            found |= more
        return found

    def cpu_s(self):
        """CPU time so far, in seconds."""
        total = 0
        for pid in self.tree():
            try:
                tasks = os.listdir(f"/proc/{pid}/task")
            except OSError:
                continue
            total += sum(int((read(f"/proc/{pid}/task/{t}/schedstat") or "0").split()[0]) for t in tasks)
        return total / 1e9

    def memory_kib(self):
        """Memory held, shared pages counted once (PSS)."""
        lines = [line for pid in self.tree() for line in read(f"/proc/{pid}/smaps_rollup").splitlines()]
        return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))

    def stop(self):
        tree = self.tree()
        self.process.terminate()
        try:
            self.process.wait(8)
        except subprocess.TimeoutExpired:
            pass
        for pid in tree & parents().keys():
            try:
                if os.getsid(pid) == self.process.pid:
                    os.kill(pid, signal.SIGKILL)
            except OSError:
                pass
        self.process.wait()

"""What breaks things for the tests: a cluster to stop and pause, a proxy that loses messages, a killer."""

from __future__ import annotations

import os
import pwd
import re
import signal
import socket
import struct
import subprocess
import threading
import time
from pathlib import Path

from support.person import CLUSTER, Person

HERE = Path(__file__).parent.parent
SUBMIT = struct.pack(">H", 4003)  # REQUEST_SUBMIT_BATCH_JOB, in the header of a message
# The proxy's ways: what happens to a submission; everything else is passed on.
PASS, LOSE_REQUEST, LOSE_ANSWER, CUT_ANSWER = "pass", "lose request", "lose answer", "cut answer"


class Cluster:
    """
    A Slurm of its own, with short time-outs: of one node, or of several of which the last does not see a folder.

    Args:
        extra: Lines for slurm.conf.
        nodes: How many; 0 for one with the host's name.
        hides: The folder that the last node has an empty one for.
    """

    def __init__(
        self, folder: Path, port: int, extra: str = "", *, accounting: bool = False, nodes: int = 0, hides: str = ""
    ) -> None:
        self.folder = folder
        self.port = port
        settings = {"SLURM_CONF_EXTRA": f"MessageTimeout=3\n{extra}", **({"SLURM_DBD": "1"} if accounting else {})}
        if nodes:
            settings.update(SLURM_NODES=str(nodes), SLURM_HIDES=hides)
        with open(f"{folder}.out", "wb") as out:
            subprocess.run(
                [str(HERE / "slurm/start"), str(folder), str(port)],
                env={**os.environ, **settings},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                check=True,
            )
        self.conf = str(folder / "slurm.conf")

    def stop(self) -> None:
        subprocess.run([str(HERE / "slurm/stop"), str(self.folder)], stdin=subprocess.DEVNULL, check=False)

    def signal_controller(self, number: int) -> None:
        os.kill(int((self.folder / "slurmctld.pid").read_text()), number)

    def stop_controller(self) -> None:
        pid = int((self.folder / "slurmctld.pid").read_text())
        os.kill(pid, signal.SIGTERM)
        wait_for(lambda: not os.path.exists(f"/proc/{pid}"))

    def start_controller(self, *words: str) -> None:
        with open(f"{self.folder}.out", "ab") as out:
            subprocess.run(
                ["/usr/sbin/slurmctld", *words],
                env={**os.environ, "SLURM_CONF": self.conf},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                check=True,
            )
        wait_for(lambda: self.answers("scontrol", "ping"))

    def forget(self) -> None:
        """What a site does that lets its ids begin again: all jobs and accounts of them in the controller are gone."""
        self.stop_controller()
        for path in (self.folder / "ctl").glob("job_state*"):
            path.unlink()  # with -c alone it still goes on from the last id
        self.start_controller("-c")

    def answers(self, *words: str) -> bool:
        env = {**os.environ, "SLURM_CONF": self.conf}
        done = subprocess.run(words, env=env, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        return done.returncode == 0 and b"DOWN" not in done.stdout


def spawn(person: Person, *words: str, **more: str) -> subprocess.Popen[bytes]:
    """Start a command as the user; its stdout and stderr are pipes."""
    env = person.environment(SARRAY_SESSION="test", **more)
    entry = pwd.getpwnam(env["USER"])
    return subprocess.Popen(
        # What runs the tests in the background may have set SIGINT to be ignored.
        ["/usr/bin/env", "--default-signal=INT", *words],
        cwd=person.home,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        user=entry.pw_uid,
        group=entry.pw_gid,
        extra_groups=[],
        start_new_session=True,
    )


def descendants(pid: int) -> list[int]:
    """The children of a process, theirs, and so on."""
    try:
        children = [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
    return children + [one for child in children for one in descendants(child)]


def wait_for(condition: object, seconds: float = 300) -> None:
    """Poll until a condition holds."""
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.02)


def free_port(after: int = 0) -> int:
    """
    The first of a row of three ports that nobody listens on.

    Args:
        after: A port to begin behind; by default that of the run's own cluster, since runs beside each other have
            theirs some hundred apart, and two that look at once must not find the same.
    """
    if not after:
        after = int(re.findall(r"(?m)^SlurmctldPort=(\d+)", Path(CLUSTER).read_text())[0])
    first = after + 5
    while True:
        if all(not listening(first + more) for more in range(3)):
            return first
        first += 10


def listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Proxy:
    """
    Between Slurm's commands and slurmctld.

    Attributes:
        way: What happens to the next submissions; with `once` to the next one only.
        seen: How many there were.
    """

    def __init__(self, cluster: Cluster, conf: Path) -> None:
        self.target = cluster.port
        self.way = PASS
        self.once = False
        self.seen = 0
        self.server = socket.create_server(("127.0.0.1", 0))
        port = self.server.getsockname()[1]
        text = re.sub(r"(?m)^SlurmctldPort=.*$", f"SlurmctldPort={port}", Path(cluster.conf).read_text())
        conf.write_text(text)
        conf.chmod(0o644)
        self.conf = str(conf)
        threading.Thread(target=self.serve, daemon=True).start()

    def close(self) -> None:
        self.server.close()

    def serve(self) -> None:
        while True:
            try:
                client = self.server.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.connection, args=(client,), daemon=True).start()

    def connection(self, client: socket.socket) -> None:
        """One request and its answer, each a length of four bytes and so many bytes."""
        with client:
            try:
                request = message(client)
                way = PASS
                if SUBMIT in request[4:24]:
                    self.seen += 1
                    way = self.way
                    if self.once:
                        self.way = PASS
                if way == LOSE_REQUEST:
                    client.recv(1)  # until the client gives up
                    return
                with socket.create_connection(("127.0.0.1", self.target)) as server:
                    server.sendall(request)
                    answer = message(server)
                if way == LOSE_ANSWER:
                    client.recv(1)
                elif way == PASS:
                    client.sendall(answer)
            except OSError:
                pass


def message(connection: socket.socket) -> bytes:
    """A whole message of Slurm's protocol, with its length in front."""
    head = exactly(connection, 4)
    return head + exactly(connection, struct.unpack(">I", head)[0])


def exactly(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = connection.recv(count - len(data))
        if not part:
            raise OSError("closed")
        data += part
    return data

"""A PostgreSQL server of one's own on a unix socket, as Debian installs it, for tests and benchmarks."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

_START_SECONDS = 60.0
_FOLDERS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


def server_program() -> Path | None:
    """Return `initdb`, beside which the others lie; None where there is no server, or no user for it."""
    found = shutil.which("initdb", path=os.pathsep.join([*map(str, _FOLDERS), os.environ.get("PATH", "")]))
    if found is None:
        return None
    if os.geteuid() == 0:
        try:
            pwd.getpwnam("postgres")
        except KeyError:
            return None
    return Path(found)


class PostgresServer:
    """A server with a database `sweeps`, in a folder that goes with it.

    Attributes:
        url: As `--storage` takes it.
    """

    def __init__(self) -> None:
        program = server_program()
        assert program is not None, "Is PostgreSQL installed?"
        self._bin = program.parent
        self._folder = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))  # short: a socket's path has 107 bytes
        self.url = f"postgresql://postgres@/sweeps?host={self._folder}"
        self._prefix: list[str] = []
        if os.geteuid() == 0:  # the server refuses to run as root
            user = pwd.getpwnam("postgres")
            os.chown(self._folder, user.pw_uid, user.pw_gid)
            self._prefix = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]

    def __enter__(self) -> Self:
        data = self._folder / "data"
        self._call("initdb", "-D", str(data), "-A", "trust", "-U", "postgres", "--no-sync")
        self.start()
        self._call("createdb", "-h", str(self._folder), "-U", "postgres", "sweeps")
        return self

    def __exit__(self, *ended: object) -> None:
        self.stop_hard()
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self) -> None:
        """Start the server, and wait until it takes connections."""
        settings = f"-k {self._folder} -c listen_addresses='' -c fsync=off"
        log = str(self._folder / "log")
        self._call("pg_ctl", "-D", str(self._folder / "data"), "-l", log, "-o", settings, "-w", "start")

    def stop_hard(self) -> None:
        """Kill the server and all that belongs to it, as a power cut does."""
        try:
            pid = int((self._folder / "data" / "postmaster.pid").read_text().split()[0])
        except OSError:
            return
        children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, check=False)
        for number in [pid, *map(int, children.stdout.split())]:
            try:
                os.kill(number, signal.SIGKILL)
            except ProcessLookupError:
                continue
        deadline = time.monotonic() + _START_SECONDS
        while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
            time.sleep(0.05)

    def _call(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [*self._prefix, str(self._bin / program), *arguments],
            check=True,
            cwd="/",
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_START_SECONDS,
        )

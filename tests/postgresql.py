"""A real PostgreSQL server for the tests: made in a folder of its own, spoken to by a socket in it, stopped at the end.

``python -m tests.postgresql`` says whether there is one, with exit status 1 if not.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRAMS = "initdb", "pg_ctl"
INSTALL = (
    "PostgreSQL is needed for these tests: install it (Debian: sudo apt-get install postgresql), or put the folder "
    "of its programs initdb and pg_ctl into PATH"
)
SETTINGS = {
    # What survives kill -9 of the server is in the operating system's hands; only a power cut needs fsync.
    "fsync": "off",
    "listen_addresses": "''",
    "max_connections": "100",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "logging_collector": "off",
}
WAIT = "60"


class Server:
    """One cluster; it can be stopped, started and killed.

    Attributes:
        folder: Where its data, its socket and its log are.
    """

    def __init__(self, folder: Path, **changed: str) -> None:
        self.folder = folder
        self.data = folder / "data"
        self._programs = programs()
        _run(self._programs / "initdb", "-D", self.data, "-A", "trust", "-U", "nudge", "-E", "UTF8", "--locale=C.UTF-8")
        settings = {**SETTINGS, **changed, "unix_socket_directories": f"'{folder}'"}
        text = "".join(f"{name} = {value}\n" for name, value in settings.items())
        _run("/bin/sh", "-c", f'printf %s "$1" >> "{self.data}/postgresql.conf"', "sh", text)

    def start(self) -> None:
        """Start it and wait until it answers."""
        _run(self._programs / "pg_ctl", "-D", self.data, "-l", self.folder / "log", "-w", "-t", WAIT, "start")

    def stop(self, how: str = "fast") -> None:
        """Stop it: ``fast`` ends sessions, ``immediate`` is a crash."""
        _run(self._programs / "pg_ctl", "-D", self.data, "-m", how, "-w", "-t", WAIT, "stop")

    @property
    def pid(self) -> int:
        """The process that listens."""
        return int((self.data / "postmaster.pid").read_text().splitlines()[0])

    def url(self, database: str = "postgres") -> str:
        """Return the address of one of its databases."""
        return f"postgresql://nudge@/{database}?host={self.folder}"

    def new_database(self, template: str = "template1") -> str:
        """Make a database and return its address."""
        import psycopg

        name = f"t{uuid.uuid4().hex[:12]}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)

    def drop_database(self, url: str) -> None:
        """Drop a database, whoever is connected to it."""
        import psycopg

        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name_of(url)} WITH (FORCE)")


def name_of(url: str) -> str:
    """Return the name of the database that an address leads to."""
    return url.partition("?")[0].rpartition("/")[2]


def programs() -> Path:
    """Return the folder with the server's programs.

    Raises:
        RuntimeError: There is none.
    """
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
    on_path = shutil.which("initdb")
    for folder in [*reversed(installed), *([Path(on_path).parent] if on_path else [])]:
        if all((folder / name).exists() for name in PROGRAMS):
            return folder
    raise RuntimeError(INSTALL)


@contextmanager
def running(**changed: str) -> Iterator[Server]:
    """Run a server for as long as the block.

    Args:
        changed: Settings other than those of the tests.
    """
    folder = Path(tempfile.mkdtemp(prefix="nudge-pg-"))
    if os.geteuid() == 0:
        user = _unprivileged()
        os.chown(folder, user.pw_uid, user.pw_gid)
    try:
        server = Server(folder, **changed)
        server.start()
        try:
            yield server
        finally:
            if (server.data / "postmaster.pid").exists():
                server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unprivileged() -> pwd.struct_passwd:
    """PostgreSQL refuses to run as root."""
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise RuntimeError("PostgreSQL does not run as root, and there is neither a user postgres nor nobody")


def _run(*command: str | Path) -> None:
    user = _unprivileged() if os.geteuid() == 0 else None
    changed = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if user else {}
    # The server keeps what it inherits, so its words go to a file: a pipe would never end.
    with tempfile.TemporaryFile() as log:
        words = [str(part) for part in command]
        done = subprocess.run(words, stdout=log, stderr=log, cwd="/", check=False, **changed)  # type: ignore[call-overload]
        if done.returncode:
            log.seek(0)
            raise RuntimeError(f"{command[0]} failed: {log.read().decode(errors='replace')}")


if __name__ == "__main__":
    try:
        print(programs())
    except RuntimeError as error:
        sys.exit(str(error))

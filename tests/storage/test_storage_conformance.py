"""The databases that a copy is published to, as this project sets them up, pass Optuna's own tests of a storage."""

import gc
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.testing.storage import StorageConformance
from tests.helpers.postgresql_server import Server, running


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running() as found:
        yield found


@pytest.mark.slow
class TestSQLite(StorageConformance):
    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        return f"sqlite:///{tmp_path / 'optuna.db'}"


@pytest.mark.slow
class TestPostgreSQL(StorageConformance):
    @pytest.fixture
    def url(self, server: Server) -> Iterator[str]:
        name = f"database-{uuid.uuid4().hex}"
        server.add(name, name, "unused")
        yield server.url(name)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()  # Optuna's test of pickling leaves the connection of its second storage open

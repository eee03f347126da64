"""The databases that a copy is published to, as this project sets them up, pass Optuna's own tests of a storage."""

import gc
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from optuna.storages import BaseStorage
from optuna.testing.pytest_storages import StorageTestCase

from orchestrator.observers.database_url import database_url
from orchestrator.observers.optuna import connect
from tests.helpers.postgresql_server import Server, running


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running() as found:
        yield found


@pytest.mark.slow
class TestSQLite(StorageTestCase):
    @pytest.fixture
    def storage(self, tmp_path: Path) -> Iterator[BaseStorage]:
        found = connect(f"sqlite:///{tmp_path / 'optuna.db'}")
        yield found
        found.engine.dispose()


@pytest.mark.slow
class TestPostgreSQL(StorageTestCase):
    @pytest.fixture
    def storage(self, server: Server) -> Iterator[BaseStorage]:
        name = f"database-{uuid.uuid4().hex}"
        server.add(name, name, "unused")
        found = connect(database_url(server.url(name)))
        yield found
        found.engine.dispose()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()  # Optuna's test of pickling leaves the connection of its second storage open

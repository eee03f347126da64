"""The databases that a copy is published to, as this project sets them up, pass Optuna's own tests of a storage."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from optuna.storages import BaseStorage
from optuna.testing.pytest_storages import StorageTestCase

from orchestrator.observers.optuna import connect
from orchestrator.storage_url import database_url
from tests._postgresql import Server, running


@pytest.mark.slow
class TestSQLite(StorageTestCase):
    @pytest.fixture
    def storage(self, tmp_path: Path) -> Iterator[BaseStorage]:
        found = connect(f"sqlite:///{tmp_path / 'optuna.db'}")
        yield found
        found.engine.dispose()


@pytest.mark.slow
class TestPostgreSQL(StorageTestCase):
    @pytest.fixture(scope="class")
    def server(self) -> Iterator[Server]:
        with running() as found:
            yield found

    @pytest.fixture
    def storage(self, server: Server, request: pytest.FixtureRequest) -> Iterator[BaseStorage]:
        name = request.node.name.lower()[:60]
        server.add(name, name, "unused")
        found = connect(database_url(server.url(name)))
        yield found
        found.engine.dispose()

"""What every database promises that a study may be published to: Optuna's own tests of a storage."""

from collections.abc import Iterator

import pytest
from optuna.storages import BaseStorage
from optuna.testing.pytest_storages import StorageTestCase

from orchestrator.observers.database_url import database_url
from orchestrator.observers.optuna import connect


class StorageConformance(StorageTestCase):
    """Inherit it, and give the address of an empty database by the fixture `url`, a new one for each test."""

    @pytest.fixture
    def url(self) -> str:
        """The address, as `--storage` takes it."""
        pytest.fail(f"{type(self).__name__} must define the fixture `url`")

    @pytest.fixture
    def storage(self, url: str) -> Iterator[BaseStorage]:
        """The database as studies are published to it."""
        found = connect(database_url(url))
        yield found
        found.engine.dispose()

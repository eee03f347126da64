"""The tests' Ray cluster ends with the tests of this folder: its idle processes would take time from all others."""

from collections.abc import Iterator

import pytest

from tests.helpers import ray_cluster


@pytest.fixture(scope="package", autouse=True)
def cluster_ends() -> Iterator[None]:
    yield
    ray_cluster.end()

"""A folder of small images, and a data folder."""

from pathlib import Path

import pytest

from tests.helpers.image_folders import pictures


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return pictures(tmp_path / "pictures")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"

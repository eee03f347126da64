"""A data set's files: fetched once where they are missing, never where they are damaged."""

from collections.abc import Callable
from pathlib import Path

from orchestrator import plugins
from orchestrator.errors import MissingInput
from orchestrator.support.activity import doing


def ensure_data_set(dataset: str, folder: Path, say: Callable[[str], None]) -> None:
    """Check that the files of a data set are in `folder`, and fetch them first if they are missing.

    Raises MissingInput, which says what is missing, both ways to get it, and why it could not be fetched; BadData for
    damaged files; DiskError.
    """
    source = plugins.dataset(dataset)
    source.info(folder)  # a user's own images cannot be fetched: it says so, and of published sets it reads nothing
    try:
        with doing(f"checking {dataset} in {folder}"):
            source.check(folder)
    except MissingInput as missing:
        say(f"{dataset} is not in {folder}: fetching it, once")
        try:
            with doing(f"fetching {dataset}"):
                source.fetch(folder)
        except MissingInput as offline:
            reason = str(offline).partition(". ")[0]
            raise MissingInput(f"{missing}. Tried just now: {reason}") from offline
        source.check(folder)


def report_missing_data_set(dataset: str, folder: Path, say: Callable[[str], None]) -> None:
    """Report what `ensure_data_set` would fetch, without fetching it. Raises BadData for damaged files."""
    source = plugins.dataset(dataset)
    source.info(folder)  # as above
    try:
        source.check(folder)
    except MissingInput:
        say(f"{dataset} is not in {folder}; the study fetches it first")

"""The tables beside a run's submission: classes.csv names the labels, and images.csv the files of the ids."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from orchestrator.errors import BadData
from orchestrator.storage.run_folder import RunFolder
from orchestrator.submission.submission_file import csv_table, name_table
from orchestrator.support.disk_lookups import content


def numbered_names(names: Sequence[str]) -> list[tuple[str, str]]:
    """Each name with its number from 0, which is its id."""
    return [(str(number), name) for number, name in enumerate(names)]


def name_tables(folder: RunFolder, classes: Sequence[str], images: Sequence[tuple[str, str]]) -> dict[Path, bytes]:
    """What stands beside a submission, where classes have names, and images, whose ids and files are given."""
    tables = {folder.classes: name_table("label", "class", classes)} if classes else {}
    if images:
        tables[folder.images] = csv_table(["id", "file"], images).encode("utf-8", "backslashreplace")
    return tables


def check_name_tables(tables: Mapping[Path, bytes], cure: str) -> None:
    """Raise BadData where a table that is there is not the one that belongs to a submission, which the command `cure` writes."""
    for path, expected in tables.items():
        if content(path) not in (None, expected):
            raise BadData(f"{path} has other names than the model's. Write it again with: {cure}")

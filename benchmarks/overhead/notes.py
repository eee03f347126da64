"""Reading what the plug-in `noted` notes of its jobs and epochs."""

import json
from collections.abc import Iterator
from pathlib import Path


def gaps(notes: Path) -> Iterator[float]:
    """Milliseconds between each last epoch and the next first one, without the `begin` between them."""
    lines = [json.loads(line) for line in notes.read_text().splitlines()]
    for before, begin, first in zip(lines, lines[1:], lines[2:], strict=False):
        if [note["what"] for note in (before, begin, first)] == ["epoch", "begin", "epoch"]:
            yield (begin["began"] - before["ended"] + first["began"] - begin["ended"]) / 1e6


def busy(folder: Path) -> tuple[int, float]:
    """The epochs that all workers of a session trained, and the seconds from the beginning of the first to the end of the "
    f"last.
    """
    found = [note for notes in folder.glob("notes-*.jsonl") for note in map(json.loads, notes.read_text().splitlines())]
    epochs = [note for note in found if note["what"] == "epoch"]
    return len(epochs), (max(note["ended"] for note in epochs) - min(note["began"] for note in epochs)) / 1e9

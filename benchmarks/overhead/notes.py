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


def rate(folder: Path) -> float:
    """Epochs per second of all workers of a session together, while none of them waited for its first job or for the last one.

    An epoch that lies partly in that time counts in part. Raises RuntimeError where there is no such time.
    """
    workers = [
        [note for note in map(json.loads, notes.read_text().splitlines()) if note["what"] == "epoch"]
        for notes in sorted(folder.glob("notes-*.jsonl"))
    ]
    begin: int = max(epochs[0]["began"] for epochs in workers)
    end: int = min(epochs[-1]["ended"] for epochs in workers)
    if end <= begin:
        raise RuntimeError("the workers never worked at the same time: give them more trials")
    parts: Iterator[float] = (
        max(0, min(epoch["ended"], end) - max(epoch["began"], begin)) / (epoch["ended"] - epoch["began"])
        for epochs in workers
        for epoch in epochs
    )
    return sum(parts) / (end - begin) * 1e9

"""Reads W&B's own files back, so that the mirror is checked by what W&B would upload.

A file begins with 7 bytes, then 32 KiB blocks hold pieces: checksum, length and type (whole, first, middle, last), little
endian. The pieces of a record together are a protocol buffer. A piece that a kill has torn ends the file.
"""

import json
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wandb.proto import wandb_internal_pb2

from orchestrator.observers.subprocess_observer import SubprocessObserver

COLUMNS = {"epoch", "train_loss", "train_acc", "val_loss", "val_acc", "lr", "seconds"}

_BLOCK = 32 * 1024
_PIECE = struct.Struct("<IHB")
_WHOLE, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4


@dataclass
class WandbRun:
    """What one file says."""

    run_id: str = ""
    name: str = ""
    group: str = ""
    job_type: str = ""
    sweep: str = ""
    project: str = ""
    entity: str = ""
    tags: tuple[str, ...] = ()
    config: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    exit_code: int | None = None

    def rows(self) -> list[dict[str, Any]]:
        """The history without the fields that W&B adds."""
        return [{name: value for name, value in row.items() if not name.startswith("_")} for row in self.history]


def complete(observer: SubprocessObserver, folder: Path) -> dict[str, WandbRun]:
    assert observer.finish(60) is None
    return read_folder(folder)


def read_folder(folder: Path) -> dict[str, WandbRun]:
    """All runs below `folder/wandb`, by id; two folders of one run are an error."""
    found: dict[str, WandbRun] = {}
    for file in sorted((folder / "wandb").glob("*run-*/*.wandb")):
        run = read(file)
        assert run.run_id not in found, f"{run.run_id} is there twice"
        found[run.run_id] = run
    return found


def read(file: Path) -> WandbRun:
    run = WandbRun()
    for content in _records(file.read_bytes()):
        _apply(run, wandb_internal_pb2.Record.FromString(content))
    return run


def _records(content: bytes) -> list[bytes]:
    assert content[:4] == b":W&B", "not a W&B file"
    records, parts, position = [], b"", 7
    while position + _PIECE.size <= len(content):
        if _BLOCK - position % _BLOCK < _PIECE.size:  # no piece begins in the last bytes of a block
            position += _BLOCK - position % _BLOCK
            continue
        _, length, kind = _PIECE.unpack_from(content, position)
        position += _PIECE.size
        piece = content[position : position + length]
        if len(piece) < length or kind not in (_WHOLE, _FIRST, _MIDDLE, _LAST):
            break
        position += length
        parts = piece if kind in (_WHOLE, _FIRST) else parts + piece
        if kind in (_WHOLE, _LAST):
            records.append(parts)
    return records


def _apply(run: WandbRun, record: Any) -> None:
    kind = record.WhichOneof("record_type")
    if kind == "run":
        run.run_id, run.name, run.group = record.run.run_id, record.run.display_name, record.run.run_group
        run.job_type, run.project, run.entity = record.run.job_type, record.run.project, record.run.entity
        run.sweep, run.tags = record.run.sweep_id, tuple(record.run.tags)
        _update(run.config, record.run.config.update)
    elif kind == "config":
        _update(run.config, record.config.update)
    elif kind == "history":
        row: dict[str, Any] = {}
        _update(row, record.history.item)
        run.history.append(row)
    elif kind == "summary":
        _update(run.summary, record.summary.update)
    elif kind == "exit":
        run.exit_code = record.exit.exit_code


def _update(target: dict[str, Any], items: Any) -> None:
    for item in items:
        *path, last = list(item.nested_key) or [item.key]
        inner = target
        for key in path:
            inner = inner.setdefault(key, {})
        inner[last] = json.loads(item.value_json)

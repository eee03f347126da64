"""Replacing files that have a meaning only together, such as a table of numbers and the tables of their names."""

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path

from orchestrator.support.atomic_files import sync_folder, write_synced
from orchestrator.support.disk_lookups import content
from orchestrator.support.fault_injection import reached


def replace_together(path: Path, new: bytes, beside: Mapping[Path, bytes], *, check: Callable[[Path], None]) -> None:
    """Replace a file, and those `beside` it in the same folder that say what it means.

    All are written aside and synced, and `path` passes through `check`: what fails until then leaves everything as it was. Where
    a file beside gets other content, the old file at `path` is removed before, and the new one is put there last. A kill in
    between leaves no such file, and never one beside names of another state. Raises OSError, DiskError, and what `check` raises.
    """
    changed = {other: wanted for other, wanted in beside.items() if content(other) != wanted}
    parts = {each: each.with_name(each.name + ".part") for each in (*changed, path)}
    try:
        for each, wanted in {**changed, path: new}.items():
            write_synced(parts[each], wanted)
        check(parts[path])
        reached(f"{path.name} written aside")
        if changed:
            path.unlink(missing_ok=True)
            sync_folder(path.parent)
            reached(f"{path.name} removed")
        for each, part in parts.items():
            part.replace(each)
            reached(f"{each.name} renamed")
    finally:
        for part in parts.values():
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
    sync_folder(path.parent)

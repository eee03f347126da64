"""Which study a folder holds: a renamed one stays what it was, a copy is a study of its own from when it goes on."""

import contextlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

from orchestrator.errors import DiskError, OrchestrateError
from orchestrator.storage.remembered_folders import recorded
from orchestrator.storage.runs import RunsFolder
from orchestrator.storage.study_file import StudyFile
from orchestrator.storage.study_folder import StudyFolder
from orchestrator.support.disk_lookups import status


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What study.json is to say once the study goes on, and what its user is told of that; "" where nothing is new."""

    file: StudyFile
    recorded_uuid: str  # what study.json says until then
    note: str = ""


def identity(folder: StudyFolder, store: RunsFolder) -> Identity:
    """The identity of a study that has begun and is to go on; nothing is written. Raises MissingInput, BadData or DiskError."""
    before = folder.recorded()
    settled = settled_in(folder, before)
    formerly = Path(before.place or folder.path.absolute().parent / before.name)  # version 0.1 recorded the name alone
    other = _original(before, settled, formerly, folder, store)
    if other is not None:
        fresh = replace(settled, uuid=uuid.uuid4().hex, copied_from=(*before.copied_from, before.uuid))
        note = f"study {folder.name!r} is a copy of {other}; it goes on as a study of its own"
        return Identity(file=fresh, recorded_uuid=before.uuid, note=note)
    renamed = f"study {folder.name!r} was called {before.name!r}; its runs are called {folder.name}/… now"
    return Identity(file=settled, recorded_uuid=before.uuid, note=renamed if before.name != folder.name else "")


def settled_in(folder: StudyFolder, study: StudyFile) -> StudyFile:
    """The same study, at home in this folder; a folder that is not there yet has no number. Raises DiskError."""
    found = status(folder.path)
    number = found.st_ino if found is not None else 0
    return replace(study, name=folder.name, place=recorded(folder.path), folder_number=number)


def _original(before: StudyFile, settled: StudyFile, formerly: Path, folder: StudyFolder, store: RunsFolder) -> Path | None:
    """The folder of the study that this one is a copy of; None where there is none any more, so that this is the study."""
    stayed, kept_number = before.place == settled.place, before.folder_number == settled.folder_number
    if stayed and kept_number:
        return None
    for path in _candidates(formerly, folder, store):
        with contextlib.suppress(OrchestrateError):  # a damaged neighbour is not this study's concern
            found = status(path)
            if found is None or StudyFolder(path.parent, path.name).recorded().uuid != before.uuid:
                continue
            # A folder in its former place may have been restored, and one with its former number was renamed: that they
            # are copies is then certain only where the folder that was worked on is seen elsewhere.
            if found.st_ino == before.folder_number or not (stayed or kept_number):
                return path
    return None


def _candidates(formerly: Path, folder: StudyFolder, store: RunsFolder) -> Iterator[Path]:
    """Where another folder of the same study may be: where this one was, and beside it."""
    names = []
    with contextlib.suppress(DiskError):  # somebody else's folder that cannot be read
        names = store.studies()
    for path in (formerly, *(store.study(name).path for name in names)):
        with contextlib.suppress(OSError):
            if not path.samefile(folder.path):
                yield path

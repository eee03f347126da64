"""Whose a study in Optuna's database is: known by the uuid in it, and by the folder, which says whether it is left.

A copy never stands in the way of a study: what belongs to a study that was deleted or renamed is removed.
"""

import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from orchestrator.errors import BadData, DiskError
from orchestrator.storage.file_names import FileNames
from orchestrator.support.disk_lookups import content, is_folder
from orchestrator.support.names import NAME
from orchestrator.support.serialization import parse

UUID, FOLDER = "uuid", "folder"  # attributes of a study in the database


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class CopyOwner:
    """The study that writes a copy."""

    uuid: str
    folder: str  # absolute path; "" where it is not known
    owns_database: bool  # whether the database is that of its own runs folder

    @property
    def place(self) -> str:
        """How the folder is noted in the database, which may be used from several machines."""
        return f"{socket.gethostname()}:{self.folder}" if self.folder else ""

    def may_replace(self, owner: str, place: str) -> bool:
        """Whether the copy of its name, which was noted as that of another study, is to make room.

        The database of a runs folder is for the studies in that folder. Elsewhere the other study has to be gone.
        """
        return self.owns_database or _is_gone(owner, place)

    def has_left(self, name: str, place: str) -> bool:
        """Whether a copy of another `name`, which was noted as this study's, is of before it was renamed."""
        if self.owns_database and self.folder and NAME.fullmatch(name) and not _holds(Path(self.folder).parent / name, self.uuid):
            return True  # also where the place was noted by a machine that has another name now, as each container has
        return _is_gone(self.uuid, place) if place else self.owns_database  # version 0.1 noted no place

    def was_published_as(self, name: str, uuid: object, place: str) -> bool:
        """Whether the copy of this `name`, noted as of this uuid and place, is this study's, whose folder was just deleted.

        A copied folder that never went on has the uuid of its original, whose copy stays.
        """
        if self.owns_database and name == Path(self.folder).name:
            return True
        return uuid == self.uuid and (place == self.place or self.has_left(name, place))


def _is_gone(uuid: str, place: str) -> bool:
    """Whether a study is not in its place any more; in doubt it is, as in a place of another machine."""
    host, _, folder = place.partition(":")
    return bool(folder) and host == socket.gethostname() and not _holds(Path(folder), uuid)


def _holds(folder: Path, uuid: str) -> bool:
    """Whether the study of this uuid is in this folder; in doubt it is, as where its disk is not there now."""
    try:
        found: Any = content(folder / FileNames.study)
        if found is None:
            return not is_folder(folder.parent)
        study = parse(found)
    except (DiskError, BadData):
        return True
    return not isinstance(study, dict) or study.get("uuid") == uuid

"""Settings that a user wants tried next: files in the study's folder, each tried exactly once.

The conductor records a trial that names its file before it deletes the file. So a file whose name stands in a record was taken,
whatever was killed in between.
"""

import time
import uuid
from collections.abc import Mapping
from typing import Any, final

from orchestrator.errors import BadData
from orchestrator.storage.study_folder import StudyFolder
from orchestrator.support.atomic_files import disk_errors, replace, sync_folder
from orchestrator.support.disk_lookups import content, is_folder, names_in
from orchestrator.support.serialization import dumps, freeze, from_plain, parse


@final
class SettingQueue:
    """The settings that wait in a study's folder."""

    def __init__(self, folder: StudyFolder) -> None:
        self._path = folder.enqueued

    def add(self, params: Mapping[str, Any]) -> None:
        """Add a setting. Raises DiskError."""
        name = self._next_name()
        with disk_errors(f"write {self._path / name}"):
            if not is_folder(self._path):
                self._path.mkdir(exist_ok=True)
                sync_folder(self._path.parent)
            replace(self._path / name, (dumps(params) + "\n").encode())

    def _next_name(self) -> str:
        """After those of all that wait, also where the clock was set back since."""
        last = max((int(name[:20]) for name in self.names() if name[:20].isdecimal()), default=-1)
        return f"{max(time.time_ns(), last + 1):020d}-{uuid.uuid4().hex[:8]}.json"

    def names(self) -> list[str]:
        """The names of the files of all waiting settings, the oldest first. Raises DiskError."""
        return [name for name in names_in(self._path) if name.endswith(".json")]

    def remove(self, name: str) -> None:
        """Delete the file of a setting that was recorded. Raises DiskError."""
        with disk_errors(f"delete {self._path / name}"):
            (self._path / name).unlink(missing_ok=True)

    def params(self, name: str) -> Mapping[str, Any]:
        """The values that a setting names; what it does not name is sampled. Raises BadData for a damaged file, DiskError."""
        file = self._path / name
        found = content(file)
        if found is None:
            raise BadData(f"{file} was deleted while it was read; run the same command again")
        try:
            return freeze(from_plain(dict, parse(found)))  # type: ignore[no-any-return]  # of a mapping, a mapping
        except (BadData, TypeError) as error:
            raise self.damaged(name, error) from error

    def damaged(self, name: str, why: object) -> BadData:
        """The error for a file whose setting cannot be tried."""
        return BadData(f"{self._path / name} is damaged ({why}); delete it, and enqueue the setting again")

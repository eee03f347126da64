"""Renaming, archiving and deleting whole studies. The folder is the truth; Optuna's copy follows it."""

import contextlib
import os
import re
import secrets
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

from orchestrator.errors import BadData, DiskError, InvalidInput, OrchestrateError, Unavailable
from orchestrator.observers.copy_owner import CopyOwner
from orchestrator.observers.database_url import sqlite_url, storage_of
from orchestrator.observers.replay import replay
from orchestrator.record import Kind
from orchestrator.sessions.mirror import SECONDS_TO_REBUILD
from orchestrator.sessions.observers import open_published_copy
from orchestrator.storage.commands import resume_command
from orchestrator.storage.file_names import FOLDERS, FileNames
from orchestrator.storage.identity import identity
from orchestrator.storage.lock import FOLDER
from orchestrator.storage.packing import ENDING, pack
from orchestrator.storage.remembered_folders import recorded
from orchestrator.storage.runs import RunsFolder
from orchestrator.storage.study_file import StudyFile
from orchestrator.storage.study_folder import StudyFolder
from orchestrator.support.activity import doing
from orchestrator.support.atomic_files import disk_errors, sync_folder
from orchestrator.support.disk_lookups import below, bytes_below, folders_in, is_folder, is_link, is_there, names_in, status
from orchestrator.support.names import NAME
from orchestrator.support.shell_words import quoted
from orchestrator.support.wording import in_bytes, several

_ASIDE = re.compile(rf"{re.escape(FileNames.deleted)}{NAME.pattern}-[0-9a-f]{{8}}")
_NOUNS = {Kind.TRIAL: "trial", Kind.CONFIRM: "confirmation", Kind.RETRAIN: "retrain", Kind.SINGLE: "single run"}


def rename_study(store: RunsFolder, former: str, name: str, storage: str | None, say: Callable[[str], None]) -> None:
    """Call a study otherwise: its folder, its runs and its published copy.

    Where that cannot be done whole nothing is, also where the database cannot be reached, or has another study of that name.
    Raises UnknownName, InvalidInput, TryAgainLater, BadData, DiskError, Mismatch or Unavailable.
    """
    old, new = store.known(former), store.study(name)
    _refuse_taken(old, new)
    old.refuse_if_locked()
    before = old.recorded()
    url = storage_of(before, storage, say)
    with old.lock(FOLDER):
        _move(old.path, new.path)
        try:
            settled = identity(new, store)
            new.update(settled.file)
            trials = new.runs(Kind.TRIAL)
            searches = before.search is not None
            copy = open_published_copy(settled.file, url, store, new, trials, formerly=former) if searches else None
        except BaseException:
            _move(new.path, old.path)
            old.update(before)
            raise
        warning = None
        if copy is not None:
            replay(copy, ((record, new.folder(record).epochs()) for record in trials))
            with doing(f"writing Optuna's copy of {name}"):
                warning = copy.finish(SECONDS_TO_REBUILD)
    say(settled.note or f"study {former!r} is called {name!r} now")
    if before.search is not None:
        say(f"to resume it: {resume_command(new, before.search)}")
    if warning is not None:
        raise Unavailable(warning)


def delete_study(
    store: RunsFolder, name: str, storage: str | None, confirmed: Callable[[str], bool], say: Callable[[str], None]
) -> None:
    """Delete a study's folder, then its published copy, if `confirmed` says so of what would be deleted.

    The folder is gone by one rename, so a study is there whole or not at all. Raises UnknownName, TryAgainLater, InvalidInput or
    DiskError, and nothing is deleted then; Unavailable where only the copy is left.
    """
    folder = store.known(name)
    folder.refuse_if_locked()
    study = _readable(folder)
    url = storage_of(study, storage, say)
    with folder.lock(FOLDER, used=False):
        what = f"study {name} with {contents(folder)}, in {folder.path}"
        if not confirmed(what):
            say("nothing was deleted")
            return
        _delete(folder, study, url, store)
    say(f"deleted {what}")


def archive_study(
    store: RunsFolder, name: str, output: Path | None, storage: str | None, say: Callable[[str], None], *, delete: bool
) -> Path:
    """Write a study's folder into one file, and only then `delete` it if asked. Returns the file.

    Without `output` it is made beside the runs folder. Raises UnknownName, InvalidInput, TryAgainLater, BadData or DiskError, and
    what `delete_study` raises.
    """
    folder = store.known(name)
    folder.refuse_if_locked()
    file = _archive_file(folder, output)
    study = _readable(folder)
    url = storage_of(study, storage, say) if delete else ""
    with folder.lock(FOLDER, used=False):
        what = f"study {name} with {contents(folder)}"
        if delete:
            _refuse_undeletable(folder)
        with doing(f"archiving study {name}"):
            pack(folder.path, file, without=(FileNames.lock, FileNames.stop))
        found = status(file)
        say(f"archived and verified: {what}, in {file} ({in_bytes(found.st_size if found is not None else 0)})")
        say(f"to restore it: tar -xzf {quoted(file)} -C {quoted(store.runs)}")
        if delete:
            _delete(folder, study, url, store)
            say(f"deleted {what}, in {folder.path}")
    return file


def contents(folder: StudyFolder) -> str:
    """What a study's folder holds: "12 trials, 1 retrain, 44.8 MB". Raises DiskError."""
    counts = {kind: len(folders_in(folder.path / FOLDERS[kind])) for kind in Kind}
    runs = [several(count, _NOUNS[kind]) for kind, count in counts.items() if count]
    return ", ".join([*(runs or ["no run"]), in_bytes(bytes_below(folder.path))])


def _refuse_taken(old: StudyFolder, new: StudyFolder) -> None:
    """Raise InvalidInput where a study has a name already, or something else has it."""
    if old.name == new.name:
        raise InvalidInput(f"study {old.name!r} has that name already")
    there, own = status(new.path), status(old.path)
    same = there is not None and own is not None and os.path.samestat(there, own)  # where a disk knows no capital letters
    if there is not None and not same:
        raise InvalidInput(f"{new.path} is there already; choose another name, or move it away")


def _readable(folder: StudyFolder) -> StudyFile | None:
    """What study.json says; None where it is damaged, which is no reason to keep a study. Raises DiskError."""
    with contextlib.suppress(BadData):
        return folder.read()
    return None


def _archive_file(folder: StudyFolder, output: Path | None) -> Path:
    """The file of an archive. Raises InvalidInput where it cannot be there."""
    runs = folder.path.parent
    beside = runs.parent if runs.name not in ("", "..") else runs.absolute().parent
    file = output if output is not None else beside
    if is_folder(file):
        file = file / f"{folder.name}{ENDING}"
    if is_there(file) or is_link(file):
        raise InvalidInput(f"{file} is there already; move it away, or choose another file with --output")
    if file.parent.resolve().is_relative_to(folder.path.resolve()):
        raise InvalidInput(f"{file} lies in the folder that is to be archived; choose another file with --output")
    return file


def _move(source: Path, target: Path) -> None:
    with disk_errors(f"rename {source} to {target}"):
        source.rename(target)
        sync_folder(target.parent)


def _refuse_undeletable(folder: StudyFolder) -> None:
    """Raise DiskError where a folder does not allow that what is in it is deleted."""
    for path, found in ((folder.path, status(folder.path)), *below(folder.path)):
        if found is not None and stat.S_ISDIR(found.st_mode) and not os.access(path, os.W_OK | os.X_OK):
            raise DiskError(f"cannot delete what is in {path}: Permission denied; nothing was deleted")


def _delete(folder: StudyFolder, study: StudyFile | None, url: str, store: RunsFolder) -> None:
    """Delete the study, whose lock the caller holds. What cannot be deleted after its folder is gone is told at the end."""
    _refuse_undeletable(folder)
    aside = store.runs / f"{FileNames.deleted}{folder.name}-{secrets.token_hex(4)}"
    _move(folder.path, aside)
    try:
        with doing(f"deleting what was published of {folder.name}"):
            _remove_copies(folder, study, url, store)
    except OrchestrateError as error:
        raise type(error)(
            f"study {folder.name!r} is deleted, and what was published of it is not: {error}. "
            "It makes room for the next study of that name"
        ) from error
    finally:
        with doing(f"deleting the files of {folder.name}"):
            _remove_files(aside)


def _remove_copies(folder: StudyFolder, study: StudyFile | None, url: str, store: RunsFolder) -> None:
    if study is not None and study.search is None:
        return  # single runs have no copy
    from orchestrator.observers.published_studies import remove_copies  # imports Optuna, which takes a second

    uuid = study.uuid if study is not None else ""
    owner = CopyOwner(uuid=uuid, folder=recorded(folder.path), owns_database=not url)
    remove_copies(url or sqlite_url(store.published.resolve()), owner)


def _remove_files(aside: Path) -> None:
    """Delete the files of a deleted study, and those of others whose deletion was killed."""
    with disk_errors(f"delete all of {aside}"):
        shutil.rmtree(aside)
    for name in names_in(aside.parent):
        if _ASIDE.fullmatch(name):
            shutil.rmtree(aside.parent / name, ignore_errors=True)  # another process may be at it

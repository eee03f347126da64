"""The published copy: a study in a database where optuna-dashboard, `optuna.load_study` and colleagues see stock Optuna.

It is made for a process of its own (`orchestrator.observers.subprocess_observer`), because a database may be slow or unreachable.
"""

import contextlib
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, final

import optuna
from optuna.distributions import json_to_distribution
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy import make_url

from orchestrator.errors import Mismatch, OrchestrateError, Unavailable
from orchestrator.observers.copy_owner import FOLDER, UUID, CopyOwner
from orchestrator.observers.database_file import DatabaseFile
from orchestrator.observers.optuna_trial import RecordedTrial, same_trial
from orchestrator.record import Epoch, Kind, RunRecord
from orchestrator.search.written_values import any_choices
from orchestrator.support.secrets import hide_passwords
from orchestrator.support.serialization import from_plain

# Seconds between attempts while the database is unreachable: doubled from the first to the last.
_FIRST_DELAY, _LAST_DELAY = 0.5, 10.0
# Seconds that it may be unreachable when everything else is done: a restart takes less, and what takes longer may take for ever.
_LONGEST_OUTAGE = 15.0
# Seconds between two writings, in which changes are kept: the delay of a dashboard. Of short trials most is then written
# in one transaction each; one for every epoch of a small network took a tenth of two cores from its training.
_BETWEEN_WRITINGS = 2.0
# The failure of a trial that Optuna's numbering needs, and that no record has.
_NO_RECORD = "there is no record of this trial"


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyConfiguration:
    """What the copy needs to know of its study."""

    url: str  # of the database, as SQLAlchemy writes it; may hold a password
    study: str
    uuid: str
    direction: Literal["maximize", "minimize"]
    distributions: Mapping[str, str]  # hyperparameter -> the text of `optuna.distributions.distribution_to_json`
    written: Mapping[str, tuple[str, ...]] = field(
        default_factory=dict
    )  # hyperparameter -> `comparable` of each completed choice
    folder: str = ""  # of the study, its absolute path
    owns_database: bool = False  # whether the database lies in the study's own runs folder
    recorded: tuple[int, ...] | None = None  # numbers of the trials that are recorded now; None: not known
    formerly: str = ""  # what the study was called until this session renamed it


def open_copy(configuration: Mapping[str, Any]) -> "PublishedStudy":
    """The copy that a plain CopyConfiguration describes.

    Raises Unavailable when the database cannot be reached, Mismatch when another study has the name there.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return PublishedStudy(from_plain(CopyConfiguration, dict(configuration)))


class _ContradictionError(Exception):
    """The database contradicts the record where Optuna cannot change it."""


@final
class PublishedStudy:
    """The Observer that copies trials into Optuna's database; runs of other kinds are no part of an Optuna study.

    Every call notes what has to be in the database; every two seconds at most, each outdated trial is compared and
    completed. What fails is tried again: an outage only delays the copy. Where the database contradicts the records in
    a way that Optuna cannot change (a finished trial is final, and numbers are given in order), the copied study is deleted
    and written again from all that this process was told. That is always right and needs no cases, provided that a session
    begins with `replay` of all earlier trials.
    """

    def __init__(self, configuration: CopyConfiguration) -> None:
        self._configuration = configuration
        self._owner = CopyOwner(uuid=configuration.uuid, folder=configuration.folder, owns_database=configuration.owns_database)
        with any_choices():
            self._distributions = {name: json_to_distribution(text) for name, text in configuration.distributions.items()}
        self._trials: dict[int, RecordedTrial] = {}
        self._outdated: set[int] = set()
        self._study_id: int | None = None
        self._delay = _FIRST_DELAY
        self._next_attempt = 0.0
        self._trouble = ""
        self._unreachable_since = math.inf
        where = f"the database {hide_passwords(configuration.url)}"
        with contextlib.ExitStack() as undo:
            try:
                self._storage = connect(configuration.url)
                undo.callback(self._storage.engine.dispose)
                self._file = DatabaseFile(configuration.url)
                self._file.opened()
                study_id = self._claim()
                self._remove_former(study_id)
                self._remove_unrecorded(study_id)
            except OrchestrateError:
                raise
            except Exception as error:
                raise Unavailable(f"{where} cannot be used: {root_cause(error)}") from error
            undo.pop_all()  # the copy is open

    def opened(self, record: RunRecord, epochs: Sequence[Epoch]) -> None:
        """Show the trial as RUNNING, with all that is recorded."""
        if record.kind is Kind.TRIAL:
            self._trials[record.number] = RecordedTrial(record=record, epochs=list(epochs))
            self._publish(record.number)

    def measured(self, record: RunRecord, epoch: Epoch) -> None:
        """Add an intermediate value."""
        if record.kind is Kind.TRIAL:
            trial = self._trials[record.number]
            trial.record = record
            trial.epochs.append(epoch)
            self._publish(record.number)

    def closed(self, record: RunRecord) -> None:
        """Give the trial its final state."""
        if record.kind is Kind.TRIAL:
            self._trials[record.number].record = record
            self._publish(record.number)

    def retry(self) -> None:
        """Write the outdated trials, once the next writing is due."""
        if self._outdated and time.monotonic() >= self._next_attempt:
            self._attempt()

    def finish(self, timeout: float) -> str | None:
        """Complete the copy, within `timeout` seconds. Returns what is missing then, or after a long outage."""
        deadline = time.monotonic() + timeout
        if self._file.is_lost():
            self._outdated |= set(self._trials)
        while self._outdated:
            self._attempt()
            if self._outdated and time.monotonic() + _FIRST_DELAY > min(deadline, self._unreachable_since + _LONGEST_OUTAGE):
                return f"{len(self._outdated)} trials could not be written: {self._trouble}"
            if self._outdated:
                time.sleep(_FIRST_DELAY)
        self._storage.engine.dispose()
        return None

    def _publish(self, number: int) -> None:
        self._outdated.add(number)
        self.retry()

    def _attempt(self) -> None:
        try:
            if self._file.is_lost():
                self._reopen()
            with any_choices():
                self._complete_or_write_again()
        except Exception as error:  # whatever it was, the records are safe and the next attempt begins with reading
            self._study_id = None
            self._unreachable_since = min(self._unreachable_since, time.monotonic())
            self._next_attempt = time.monotonic() + self._delay
            self._delay = min(2 * self._delay, _LAST_DELAY)
            if (cause := root_cause(error)) != self._trouble:
                self._trouble = cause
                print(f"cannot write the database: {cause}", flush=True)
        else:
            self._delay, self._unreachable_since = _FIRST_DELAY, math.inf
            self._next_attempt = time.monotonic() + _BETWEEN_WRITINGS

    def _complete_or_write_again(self) -> None:
        try:
            self._complete()
        except _ContradictionError as contradiction:
            print(f"writing the copied study again: {contradiction}", flush=True)
            self._storage.delete_study(self._claim())
            self._study_id = None
            self._complete()

    def _reopen(self) -> None:
        """Open what lies in the place of the database's file now, or make it; everything is to be written there."""
        print("the database's file was moved or deleted: it is written anew", flush=True)
        self._storage.engine.dispose()
        self._storage = connect(self._configuration.url)
        self._file.opened()
        self._study_id = None
        self._outdated |= set(self._trials)

    def _complete(self) -> None:
        study_id = self._claim() if self._study_id is None else self._study_id
        for number in sorted(self._outdated):
            self._reconcile(study_id, number)
            self._outdated.discard(number)

    def _claim(self) -> int:
        """Find the study in the database, or make it. Raises Mismatch when it is another's.

        All that was known of the database is dropped, and read again.
        """
        name, uuid = self._configuration.study, self._configuration.uuid
        try:
            study_id = self._storage.get_study_id_from_name(name)
        except KeyError:
            study_id = self._new_study()
        noted = self._storage.get_study_user_attrs(study_id)
        owner, place = noted.get(UUID), noted.get(FOLDER, "")
        if owner not in (None, uuid) and self._owner.may_replace(owner, place):
            print(f"the copied study {name!r} is of a study that is not here any more: it is written anew", flush=True)
            self._storage.delete_study(study_id)
            study_id, owner, place = self._new_study(), None, ""
        # A study without trials and without owner is one that was being made when its process was killed.
        if owner is None and not self._storage.get_n_trials(study_id):
            self._storage.set_study_user_attr(study_id, UUID, uuid)
        elif owner != uuid:
            raise Mismatch(
                f"the database {hide_passwords(self._configuration.url)} has another study {name!r}, "
                f"{f'of {place}' if place else 'of an unknown folder'}; give this study another name with --study, "
                "or this copy another database with --storage"
            )
        if self._owner.place not in ("", place):
            self._storage.set_study_user_attr(study_id, FOLDER, self._owner.place)
        for trial in self._trials.values():
            trial.published = None
        self._study_id = study_id
        return study_id

    def _new_study(self) -> int:
        """Make the study in the database; all trials are to be written."""
        direction = StudyDirection[self._configuration.direction.upper()]
        self._outdated |= set(self._trials)
        return self._storage.create_new_study([direction], self._configuration.study)

    def _remove_former(self, study_id: int) -> None:
        """Remove what this same study was published as before it was renamed."""
        formerly = self._configuration.formerly if self._configuration.owns_database else ""
        for other in self._storage.get_all_studies():
            name, noted = other.study_name, other.user_attrs
            same = noted.get(UUID) == self._configuration.uuid and self._owner.has_left(name, noted.get(FOLDER, ""))
            if other._study_id != study_id and (same or name == formerly):
                print(f"the copied study {other.study_name!r} is called {self._configuration.study!r} now", flush=True)
                self._storage.delete_study(other._study_id)

    def _remove_unrecorded(self, study_id: int) -> None:
        """Delete the copied study if it has trials whose folders were deleted: it is written anew from those that are left."""
        recorded = self._configuration.recorded
        if recorded is None:
            return
        for number in sorted(set(range(self._storage.get_n_trials(study_id))) - set(recorded)):
            trial_id = self._storage.get_trial_id_from_study_id_trial_number(study_id, number)
            if self._storage.get_trial(trial_id).user_attrs.get("failure") != _NO_RECORD:
                print(f"there is no trial {number} any more: the copied study is written anew", flush=True)
                self._storage.delete_study(study_id)
                self._study_id = None
                self._claim()
                return

    def _reconcile(self, study_id: int, number: int) -> None:
        """Make the database agree with the record of this trial. Raises _ContradictionError where it cannot."""
        trial = self._trials[number]
        wanted = trial.wanted(self._distributions, self._configuration.written)
        there = trial.published or self._read(study_id, trial)
        if there is None:
            self._create(study_id, trial, wanted)
        elif there.state.is_finished():
            if not same_trial(there, wanted):
                raise _ContradictionError(f"trial {number} is finished there and differs")
        else:
            self._update(trial.trial_id, there, wanted)
            # Steps that an earlier attempt measured stand until this one has measured them again.
            wanted.intermediate_values = {**there.intermediate_values, **wanted.intermediate_values}
        trial.published = wanted

    def _read(self, study_id: int, trial: RecordedTrial) -> FrozenTrial | None:
        if not self._has(study_id, trial.record.number):
            return None
        trial.trial_id = self._storage.get_trial_id_from_study_id_trial_number(study_id, trial.record.number)
        return self._storage.get_trial(trial.trial_id)

    def _has(self, study_id: int, number: int) -> bool:
        try:
            self._storage.get_trial_id_from_study_id_trial_number(study_id, number)
        except KeyError:
            return False
        return True

    def _create(self, study_id: int, trial: RecordedTrial, wanted: FrozenTrial) -> None:
        number = trial.record.number
        if number > 0 and not self._has(study_id, number - 1):
            # Optuna counts trials itself, so a number that no record has must be taken by something.
            gap = create_trial(state=TrialState.FAIL, user_attrs={"failure": _NO_RECORD})
            for _ in range(self._storage.get_n_trials(study_id), number):
                self._storage.create_new_trial(study_id, gap)
        trial.trial_id = self._storage.create_new_trial(study_id, wanted)
        if self._storage.get_trial_number_from_id(trial.trial_id) != number:
            raise _ContradictionError(f"another process added trials before trial {number}")

    def _update(self, trial_id: int, there: FrozenTrial, wanted: FrozenTrial) -> None:
        if (there.params, there.distributions) != (wanted.params, wanted.distributions):
            raise _ContradictionError("a running trial has other parameters there")
        for step, value in wanted.intermediate_values.items():
            if there.intermediate_values.get(step) != value:
                self._storage.set_trial_intermediate_value(trial_id, step, value)
        for name, value in wanted.user_attrs.items():
            if there.user_attrs.get(name) != value:
                self._storage.set_trial_user_attr(trial_id, name, value)
        for name, value in wanted.system_attrs.items():
            if there.system_attrs.get(name) != value:
                self._storage.set_trial_system_attr(trial_id, name, value)
        if wanted.state.is_finished():
            if set(there.intermediate_values) - set(wanted.intermediate_values):
                raise _ContradictionError("a trial has more epochs there than it was given")
            values = None if wanted.value is None else [wanted.value]
            self._storage.set_trial_state_values(trial_id, wanted.state, values)


def connect(url: str) -> RDBStorage:
    """The database at an SQLAlchemy URL, set up so that others may use it at the same time.

    The URL has its special characters quoted, as `database_url` renders it: Optuna fills in what it finds in braces.
    """
    parsed = make_url(url)
    backend = parsed.get_backend_name()
    if backend == "postgresql" and parsed.get_driver_name() in ("psycopg", "psycopg2"):
        # Seconds; without them a host that does not answer is waited for longer than an observer may take.
        return RDBStorage(url, engine_kwargs={"pool_pre_ping": True, "connect_args": {"connect_timeout": 10}})
    if backend != "sqlite":
        return RDBStorage(url, engine_kwargs={"pool_pre_ping": True})
    # Seconds; the default of 5 is an error when a dashboard or another study holds the file for longer.
    storage = RDBStorage(url, engine_kwargs={"connect_args": {"timeout": 60}})
    with storage.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode=WAL")  # readers and one writer do not wait for each other
    return storage


def root_cause(error: Exception) -> str:
    """What the database said, which Optuna wraps in a general message."""
    found: BaseException = error
    while found.__cause__ is not None:
        found = found.__cause__
    return f"{type(found).__name__}: {str(found).splitlines()[0] if str(found) else ''}"

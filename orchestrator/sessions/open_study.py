"""Opening a study: from what the user typed, and what study.json says, to a plan that can be checked before it runs."""

import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

from orchestrator import plugins
from orchestrator.contracts import StudyPlan
from orchestrator.errors import BadData, InvalidInput, Mismatch
from orchestrator.hyperparameters import complete
from orchestrator.observers.database_url import check_storage, default_storage, shown_storage, storage_of
from orchestrator.plugin_errors import blame_plugin
from orchestrator.record import Kind
from orchestrator.scheduling.optuna_pruners import PRUNERS
from orchestrator.search.optuna_study import OptunaStudy, fitting
from orchestrator.search.plan_differences import differences, written_otherwise
from orchestrator.search.samplers import SAMPLERS
from orchestrator.search.spaces import describe, space
from orchestrator.search.written_values import any_choices, written_by
from orchestrator.sessions.check_plan import check_known, check_space, check_trainer, checked_plan
from orchestrator.sessions.fetch_data import ensure_data_set
from orchestrator.storage.identity import identity
from orchestrator.storage.remembered_folders import data_folder_of, recorded
from orchestrator.storage.runs import RunsFolder
from orchestrator.storage.study_file import Search, StudyFile
from orchestrator.storage.study_folder import StudyFolder
from orchestrator.storage.study_options import Limits, StudyOptions
from orchestrator.support.clock import Clock
from orchestrator.support.names import LONGEST_NAME, checked_name, checked_text
from orchestrator.support.serialization import to_plain

DEFAULT_SEED = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the user asked for. None is "as the study has it", and for a new study "as the plan has it"."""

    plan: str
    trials: int | None = None
    study: str | None = None
    dataset: str | None = None
    epochs: int | None = None
    seed: int | None = None
    pruner: str | None = None
    sampler: str | None = None
    storage: str | None = None
    skip_damaged: bool = False  # leave out what cannot be decoded


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedStudy:
    """A study whose plan and options are settled: nothing was written yet."""

    file: StudyFile
    plan: StudyPlan
    folder: StudyFolder
    storage: str  # the whole URL, password included: never to be written anywhere; "" is the default
    data_folder: Path
    recorded_uuid: str | None  # what study.json says until the session begins; None where there is no study yet
    note: str  # what its user is told of the study's identity; "" where nothing is new

    @property
    def search(self) -> Search:
        """What study.json says, or will say, of the search."""
        return self.file.require_search()

    def new_search(self) -> OptunaStudy:
        """The search for trials, before it knows any."""
        plan, options = self.plan, self.search.options
        written = written_by(plan.recipe.trainer)
        return OptunaStudy(plan, seed=options.seed, sampler=options.sampler, pruner=options.pruner, written=written)

    def complete(self, params: Mapping[str, Any]) -> Mapping[str, Any]:
        """`params` with the trainer's defaults filled in."""
        return complete(plugins.trainer(self.plan.recipe.trainer).hyperparameters, params)

    def validate(
        self,
        say: Callable[[str], None],
        find_data: Callable[[str, Path, Callable[[str], None]], None] = ensure_data_set,
    ) -> None:
        """Check all that could fail in some trial, with the trainer itself, and that the data are there; writes nothing.

        Raises UnknownName, InvalidInput, MissingInput or BadData. Apart from `open_study`, because this imports torch: workers
        that were started before do so at the same time.
        """
        info = plugins.dataset(self.search.options.dataset).info(self.data_folder)
        with blame_plugin(f"trainer {self.plan.recipe.trainer!r}"):
            trainer = plugins.trainer(self.plan.recipe.trainer)
            check_space(self.plan, trainer, self.plan.recipe.plan)
            check_trainer(self.plan, trainer, info, self.data_folder)
        find_data(self.search.options.dataset, self.data_folder, say)


def open_study(
    request: Request, store: RunsFolder, given_data: Path | None, clock: Clock, say: Callable[[str], None]
) -> OpenedStudy:
    """Find the plan, settle the options, and compare with study.json and the runs where there are any.

    `given_data` is the data folder that the user gave, which the study records for later commands.
    Raises UnknownName, InvalidInput, MissingInput, BadData, BadSettings, Unavailable or Mismatch, before anything was written.
    """
    if request.storage is not None:
        check_storage(request.storage)
    with blame_plugin(f"plan {request.plan!r}"), any_choices():
        name, own_dataset, make_plan = plugins.plan(request.plan)
    checked_name(name, "plan")
    asked = plugins.settled_dataset(request.dataset) if request.dataset is not None else None
    known = plugins.names("data set")
    own_kind = own_dataset.partition(":")[0]
    own_dataset = plugins.settled_dataset(own_dataset) if own_kind in known else own_dataset
    wanted = request.study if request.study is not None else default_name(name, own_dataset, asked)
    folder = store.study(wanted)
    folder.refuse_if_locked()
    found = identity(folder, store) if folder.has_begun() else None
    before = found.file if found is not None else None
    if before is not None and before.search is None:
        raise Mismatch(f"{folder.name!r} holds single runs of `orchestrate train`; give the study another name with --study NAME")
    had = before.search if before is not None else None
    if request.storage is None:
        request = replace(request, storage=default_storage(before))
    data_folder = data_folder_of(before, given_data, say)
    dataset_name = asked if asked is not None else had.options.dataset if had else own_dataset
    if dataset_name == own_dataset:
        check_known("data set", own_kind, known, f"plan {name!r} names it")
    if request.skip_damaged:
        dataset_name = plugins.dataset_skipping_damaged(dataset_name)
    info = plugins.dataset(dataset_name).info(data_folder)
    with blame_plugin(f"plan {request.plan!r}"), any_choices():
        plan = checked_plan(make_plan(dataset_name, info), name, dataset_name)
    if request.epochs is not None or had is not None:
        plan = replace(plan, epochs=request.epochs or (had.options.epochs if had else plan.epochs))
    options = _options(request, had, dataset_name, plan)
    check_known("pruner", options.pruner, PRUNERS)
    check_known("sampler", options.sampler, SAMPLERS)
    content = _content(plan)
    if had is not None and written_otherwise(had.plan_content, content):
        content = to_plain(had.plan_content)  # the study keeps its own way to write it
        plan = replace(plan, space=space(content["space"]))
    if had is not None:
        _compare(folder.name, had, request, options, content)
    _check_runs(folder, plan)
    file = replace(
        before or StudyFile(uuid=uuid.uuid4().hex, name=folder.name, created=clock.now()),
        search=Search(
            plan=_from_everywhere(request.plan),
            plan_content=content,
            options=options,
            trials=_trials(request, had),
            storage=check_storage(request.storage) if request.storage is not None else shown_storage(had.storage if had else ""),
        ),
        data_folder=recorded(given_data) or (before.data_folder if before else ""),
        limits=Limits(),
        ended="",
    )
    return OpenedStudy(
        file=file,
        plan=plan,
        folder=folder,
        storage=storage_of(before, request.storage, say),
        data_folder=data_folder,
        recorded_uuid=found.recorded_uuid if found is not None else None,
        note=found.note if found is not None else "",
    )


def default_name(plan: str, own_dataset: str, dataset: str | None) -> str:
    """The plan's name, and the data set's where it is not the plan's own, as far as they fit and a folder may be called so."""
    if dataset in (None, own_dataset):
        return plan
    return re.sub("[^A-Za-z0-9._-]+", "-", f"{plan}-{plugins.dataset_label(str(dataset))}")[:LONGEST_NAME]


def _from_everywhere(plan: str) -> str:
    """What names the plan also in another working directory: a file by its whole path. Raises InvalidInput."""
    return checked_text(str(Path(plan).absolute())) if plan.endswith(".py") else plan


def _trials(request: Request, had: Search | None) -> int:
    trials = request.trials if request.trials is not None else had.trials if had else None
    if trials is None:
        raise InvalidInput("a new study needs a number of trials: --trials N")
    return trials


def _options(request: Request, had: Search | None, dataset: str, plan: StudyPlan) -> StudyOptions:
    before = had.options if had else None

    def settled(name: str, default: Any) -> Any:
        asked = getattr(request, name)
        return asked if asked is not None else getattr(before, name) if before is not None else default

    return StudyOptions(
        dataset=dataset,
        seed=settled("seed", DEFAULT_SEED),
        epochs=plan.epochs,
        pruner=settled("pruner", plan.pruner),
        sampler=settled("sampler", "tpe"),
    )


def _content(plan: StudyPlan) -> dict[str, Any]:
    """What a plan says, without the options that can be set from outside."""
    recipe = to_plain(plan.recipe)
    return {
        "recipe": {name: recipe[name] for name in ("trainer", "split", "params")},
        "space": describe(plan.space),
        "metric": to_plain(plan.metric),
        "confirm_epochs": plan.confirm_epochs,
        "retrain_epochs": plan.retrain_epochs,
        "baselines": {baseline.system: to_plain(baseline.params) for baseline in fitting(plan)},
    }


def _compare(study: str, had: Search, request: Request, options: StudyOptions, content: dict[str, Any]) -> None:
    """Refuse to resume a study under another plan or other options. Raises Mismatch with the difference."""
    found = differences("", to_plain(had.options), to_plain(options))
    found += differences("", to_plain(had.plan_content), content)
    if request.storage is not None and (asked := check_storage(request.storage)) != (known := shown_storage(had.storage)):
        found.append(f"storage: {known or 'the default'} -> {asked}")
    if found:
        raise Mismatch(
            f"study {study!r} was begun with another plan or other options. Resume it with those that it had, or begin "
            "a new study with --study NAME. What differs:",
            items=found,
        )


def _check_runs(folder: StudyFolder, plan: StudyPlan) -> None:
    """Refuse trials that lack what the study searches, or epochs that were recorded. Raises BadData."""
    for record in folder.runs(Kind.TRIAL):
        run = folder.folder(record)
        lacking = sorted(set(plan.space) - set(record.recipe.params))
        if lacking:
            raise BadData(
                f"{run.record_file} is damaged: it has no {', '.join(lacking)}; restore it from a backup, or move {run.path} away"
            )
        if record.status.finished and (found := len(run.epochs())) != record.epochs:
            raise BadData(
                f"{run.epochs_file} is damaged: it holds {found} epochs, and {record.epochs} were recorded; "
                f"restore it from a backup, or move {run.path} away"
            )

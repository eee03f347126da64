"""From a run's checkpoint to its submission.csv, checked."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import final

from orchestrator import plugins
from orchestrator.contracts import DataSetInfo, LeftOut
from orchestrator.data_identity import DataIdentity, Part, class_names, read_data
from orchestrator.errors import BadData, InvalidInput, MissingInput
from orchestrator.record import RunRecord
from orchestrator.sessions.fetch_data import left_out
from orchestrator.storage.commands import command
from orchestrator.storage.run_folder import RunFolder
from orchestrator.storage.study_file import StudyFile
from orchestrator.storage.study_folder import StudyFolder
from orchestrator.submission.images_to_predict import (
    ImagesRequest,
    ImagesToPredict,
    check_output,
    find_images,
    of_sample,
    own_images,
    predict,
)
from orchestrator.submission.name_tables import check_name_tables, name_tables, numbered_names
from orchestrator.submission.out_of_distribution import CHALLENGE, CheckedFiles, OutOfDistribution, check_files
from orchestrator.submission.prediction_progress import PredictionProgress
from orchestrator.submission.predictions import Rows, image_ids, predict_files, predict_test_images
from orchestrator.submission.predictor import TrainedModel, known_data, load_model
from orchestrator.submission.submission_file import (
    SubmissionForm,
    check_content,
    numbered,
    submission_content,
    write_submission,
)
from orchestrator.support.activity import bar_or, doing
from orchestrator.support.disk_lookups import is_link, is_there
from orchestrator.support.names import NAME

# The data sets whose challenge is scored on other images than their own test set.
OUT_OF_DISTRIBUTION = {"cifar100": CHALLENGE}
_NOTHING_ASKED = ImagesRequest()


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a submission is made for: checked out-of-distribution files, images without classes, or else the test images."""

    dataset: str
    files: CheckedFiles | None = None
    images: ImagesToPredict | None = None

    def describe(self) -> str:
        """One phrase for messages."""
        if self.images is not None:
            return self.images.describe()
        if self.files is None:
            return f"the test images of {self.dataset}"
        images = len(self.files.present) * self.files.geometry.shape[0]
        missing = f"; WITHOUT {', '.join(self.files.missing)}" if self.files.missing else ""
        return f"{images:,} out-of-distribution images of {self.files.folder}{missing}"


def target(
    dataset: str, ood_folder: Path | None, data_folder: Path, *, partial: bool, request: ImagesRequest = _NOTHING_ASKED
) -> Target:
    """What to predict for a model of this data set, checked before anything is trained or predicted.

    Images without classes come first: those of `request`, or of the data set. Without `ood_folder` the out-of-distribution files
    are looked for in DATA/ood-test, and their absence means the test images.
    Raises MissingInput and BadData as `find_images` and `check_files` do.
    """
    geometry = OUT_OF_DISTRIBUTION.get(dataset)
    folder = ood_folder or data_folder / "ood-test"
    if geometry is None and (ood_folder is not None or partial):
        raise InvalidInput(f"{dataset} has no out-of-distribution files: leave out --ood-dir and --partial")
    if (images := find_images(dataset, data_folder, request)) is not None:
        return Target(dataset=dataset, images=images)
    if geometry is None or (ood_folder is None and not partial and not _any_there(folder, geometry)):
        plugins.dataset(dataset).check(data_folder)
        return Target(dataset=dataset)
    return Target(dataset=dataset, files=check_files(folder, geometry, partial=partial, verify=True))


def most_predictions(dataset: str, info: DataSetInfo, data_folder: Path) -> int:
    """Images that a submission may have to predict, at the most, as far as can be said without reading any."""
    geometry = OUT_OF_DISTRIBUTION.get(dataset)
    if geometry is not None and _any_there(data_folder / "ood-test", geometry):
        return len(geometry.ids())
    if (unlabelled := own_images(dataset, data_folder)) is not None:
        return len(unlabelled.names)
    return info.train_images  # few data sets have more test than training images


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class _Predicted:
    """The content of a submission, and of the tables of names beside it in the folder of a run."""

    rows: Rows
    form: SubmissionForm
    names: Mapping[Path, bytes]
    without: str = ""  # which images, in a phrase


def submit(
    folder: RunFolder,
    record: RunRecord,
    what: Target,
    data_folder: Path,
    device: str,
    say: Callable[[str], None],
    *,
    output: Path | None = None,
) -> Path:
    """Predict, and write the run's submission.csv, or `output`: written aside, checked, then renamed. Returns its path.

    Beside a run's predictions for test images and for images without classes stand classes.csv and images.csv, where classes and
    images have names; the three are replaced together. Raises BadData, before anything is written, where the data set is not what
    the model was trained on.
    """
    if output is not None and what.images is not None:
        check_output(output, what.images)
    with doing(f"loading the weights of {record.run_id}"):
        model = load_model(folder, record, device)
    progress = PredictionProgress(say)
    try:
        if what.images is not None:
            made = _of_images(what.images, folder, record, model, data_folder, progress, say)
        elif what.files is not None:
            made = _of_files(what.files, record, model, data_folder, progress)
        else:
            made = _of_test_images(folder, record, model, data_folder, progress)
    finally:
        progress.end()
    path = folder.submission if output is None else output
    write_submission(path, made.rows, form=made.form, names=made.names if output is None else {})
    by = f", predicted by {record.run_id}" if output is not None else ""
    say(f"submission: {path}, {len(made.rows.ids):,} rows for {what.describe()}{made.without}{by}")
    return path


def _of_files(
    files: CheckedFiles, record: RunRecord, model: TrainedModel, data_folder: Path, progress: PredictionProgress
) -> _Predicted:
    dataset = record.recipe.dataset
    classes = plugins.dataset(dataset).info(data_folder).classes
    check_same_data(record.run_id, model.data, DataIdentity(dataset=dataset, classes=_names_if_there(dataset, data_folder)))
    with bar_or("predicting"):
        rows = predict_files(files, model.predict, classes=classes, progress=progress)
    return _Predicted(rows=rows, form=numbered(classes), names={})


def _of_test_images(
    folder: RunFolder, record: RunRecord, model: TrainedModel, data_folder: Path, progress: PredictionProgress
) -> _Predicted:
    found = read_data(record.recipe.dataset, data_folder, "train", "test")
    check_same_data(record.run_id, model.data, found.identity)
    classes = found.info.classes
    with bar_or("predicting"):
        rows = predict_test_images(found.parts["test"].images, model.predict, classes=classes, progress=progress)
    names = name_tables(folder, model.data.classes or found.identity.classes, numbered_names(found.test_names))
    return _Predicted(rows=rows, form=numbered(classes), names=names)


def _of_images(
    images: ImagesToPredict,
    folder: RunFolder,
    record: RunRecord,
    model: TrainedModel,
    data_folder: Path,
    progress: PredictionProgress,
    say: Callable[[str], None],
) -> _Predicted:
    """Images that a user gives need no data set, and those of a data set need the one that the model was trained on."""
    dataset = record.recipe.dataset
    if images.own:
        check_same_data(record.run_id, model.data, read_data(dataset, data_folder, "train").identity)
    names, classes = _classes(dataset, data_folder, model.data)
    form, note = images.form(names, classes)
    for line in (*([f"note: {note}"] if note else []), *left_out(LeftOut(others=images.files.others))):
        say(line)
    rows, without = predict(images, model.predict, classes, progress)
    tables = name_tables(folder, names, images.paths(rows.ids))
    return _Predicted(rows=rows, form=form, names=tables, without=without)


def check_same_data(run_id: str, trained_on: DataIdentity, now: DataIdentity) -> None:
    """Raise BadData where a data set is not what a model was trained on: its labels, or its images, have another meaning."""
    if what := trained_on.difference(now):
        raise BadData(
            f"{now.dataset} is not what {run_id} was trained on: {what}. "
            "Restore it, or train again with --study NAME. Nothing was written"
        )


def check(
    file: Path, dataset: str, data_folder: Path, *, request: ImagesRequest = _NOTHING_ASKED, run: RunFolder | None = None
) -> str:
    """Check that a file is a complete submission for this data set. Returns as what. Raises BadData, MissingInput.

    Where it lies in the folder of a run, the data set must also be what that run was trained on, and the tables of names beside
    the run's submission must be its own. `run` is the run whose classes a submission for images without classes names.
    """
    source = plugins.dataset(dataset)
    geometry = OUT_OF_DISTRIBUTION.get(dataset)
    submission = submission_content(file)
    place = RunFolder(file.parent)
    record = place.read() if place.has_record() else None
    if request.sample is not None and request.folder is None:
        images: ImagesToPredict | None = of_sample(request, request.sample)
    else:
        images = find_images(dataset, data_folder, request)
    if images is not None:
        of = run if run is not None or record is None else place
        return _check_images(file, submission, images, dataset, data_folder, of)
    test_names: tuple[str, ...] = ()
    if geometry is not None and not _is_of_test_images(submission):
        ids, name = geometry.ids(), f"the {geometry.files} out-of-distribution files"
        classes = source.info(data_folder).classes
        now = DataIdentity(dataset=dataset, classes=_names_if_there(dataset, data_folder))
    else:
        parts: tuple[Part, ...] = ("test",) if record is None else ("train", "test")
        found = read_data(dataset, data_folder, *parts)
        ids, name = image_ids(len(found.parts["test"].labels)), f"the test images of {dataset}"
        classes, now, test_names = found.info.classes, found.identity, found.test_names
    if record is not None:
        model = known_data(place, record)
        check_same_data(record.run_id, model, now)
        if file.name == place.submission.name:
            tables = name_tables(place, model.classes or now.classes, numbered_names(test_names))
            check_name_tables(tables, _cure(place, record))
    check_content(submission, file, ids, form=numbered(classes))
    return f"{len(ids):,} rows for {name}, in order, labels 0 to {classes - 1}"


def _check_images(
    file: Path, submission: bytes, images: ImagesToPredict, dataset: str, data_folder: Path, run: RunFolder | None
) -> str:
    """Check a submission for images without classes, of the model of `run`; None: of the classes that the data set has now."""
    record = run.read() if run is not None else None
    known = known_data(run, record) if run is not None and record is not None else DataIdentity(dataset=dataset)
    names, classes = _classes(dataset, data_folder, known)
    form, _ = images.form(names, classes)
    ids = images.expected_ids(submission)
    if run is not None and record is not None and images.own:
        check_same_data(record.run_id, known, read_data(dataset, data_folder, "train").identity)
    check_content(submission, file, ids, form=form)
    if run is not None and record is not None and images.own and file == run.submission:
        check_name_tables(name_tables(run, names, images.paths(ids)), _cure(run, record))
    return f"{len(ids):,} rows for {images.describe()}, in order, each label {form.describe()}"


def _cure(folder: RunFolder, record: RunRecord) -> str:
    """The command that writes the submission of a run again."""
    return command(folder.path.parent.parent.parent, "submit", record.run_id)


def _classes(dataset: str, data_folder: Path, known: DataIdentity) -> tuple[tuple[str, ...], int]:
    """The names of the classes that a model knows, () where they have none, and their number."""
    names = known.classes or class_names(dataset, data_folder)
    return names, len(names) or plugins.dataset(dataset).info(data_folder).classes


def _names_if_there(dataset: str, data_folder: Path) -> tuple[str, ...]:
    """The names of the classes; () where the data set is not here, as predicting other files does not need it."""
    try:
        return class_names(dataset, data_folder)
    except MissingInput:
        return ()


def dataset_of(file: Path) -> str:
    """The data set of the run in whose folder a submission lies; the challenge's where it lies elsewhere.

    Raises BadData or DiskError where that run's record cannot be read.
    """
    run = RunFolder(file.parent)
    return run.read().recipe.dataset if run.has_record() else next(iter(OUT_OF_DISTRIBUTION))


def lies_in_run(file: Path) -> bool:
    """Whether a file lies in the folder of a run. Raises DiskError."""
    return RunFolder(file.parent).has_record()


def study_of(file: Path) -> StudyFile | None:
    """What study.json says of the study of the run in whose folder a submission lies; None where it lies elsewhere.

    Raises BadData or DiskError where it cannot be read.
    """
    place = file.absolute().parent.parent.parent
    if not NAME.fullmatch(place.name) or is_link(place):
        return None
    study = StudyFolder(place.parent, place.name)
    return study.read() if study.has_begun() else None


def _is_of_test_images(submission: bytes) -> bool:
    """Whether the first row has the id of a test image, a number."""
    first = submission.split(b"\n", 2)[1:2]
    return bool(first) and first[0].decode(errors="replace").partition(",")[0].strip('"').isdecimal()


def _any_there(folder: Path, geometry: OutOfDistribution) -> bool:
    return any(is_there(folder / geometry.file_name(file)) for file in range(geometry.files))

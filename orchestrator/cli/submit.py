"""`orchestrate submit`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli.lazy_group import Command
from orchestrator.cli.messages import say
from orchestrator.cli.options import (
    device_option,
    last_runs_folder,
    ood_option,
    partial_option,
    refuse_idle,
    study_data_option,
    unsettled_runs_option,
)
from orchestrator.cli.parameter_types import Location, OneOf
from orchestrator.cli.process.standard_streams import emit
from orchestrator.errors import InvalidInput
from orchestrator.support.wording import printable

if TYPE_CHECKING:
    from orchestrator.storage.run_folder import RunFolder
    from orchestrator.storage.study_folder import StudyFolder
    from orchestrator.submission.images_to_predict import ImagesRequest

LABELS = ("names", "numbers")


@click.command("submit", cls=Command, short_help="Write or check a submission.")
@click.argument("run", required=False)
@click.option("--images", type=Location(), metavar="DIR", help="Predict the images in this folder, which have no classes.")
@click.option("--output", type=Location(), metavar="FILE", help="With --images: the submission to write.")
@click.option(
    "--sample",
    type=Location(),
    metavar="FILE",
    help="A sample submission: its header, its ids and their order, and how labels are written.  "
    "[default: sample_submission.csv beside the images of folder:PATH]",
)
@click.option("--id-column", metavar="NAME", help="Name of the column of ids.  [default: the sample's, else id]")
@click.option("--label-column", metavar="NAME", help="Name of the column of labels.  [default: the sample's, else label]")
@click.option(
    "--labels", type=OneOf("kind of labels", LABELS), help="Names or numbers of classes.  [default: the sample's, else names]"
)
@click.option("--skip-damaged", is_flag=True, help="Leave out damaged image files, and say so.")
@click.option("--check", "file", type=Location(), metavar="FILE", help="Check this submission line by line; predict nothing.")
@click.option("--dataset", metavar="NAME", help="With --check: data set of the submission.  [default: its run's, else cifar100]")
@ood_option
@partial_option
@device_option
@study_data_option
@unsettled_runs_option
def submit(
    run: str | None,
    images: Path | None,
    output: Path | None,
    file: Path | None,
    dataset: str | None,
    ood_dir: Path | None,
    partial: bool,
    device: str,
    data_dir: Path | None,
    runs: Path | None,
    **form: Any,
) -> None:
    """Write submission.csv from the weights of RUN, or check an existing submission.

    RUN is a retrain such as part2/retrain/0007-1a2b3c4d, or a trial whose weights were kept, such as part2/7. Without RUN, the
    newest retrain is taken. The submission predicts the out-of-distribution files if they exist, otherwise the test images.

    Images without classes, as those of a competition, come from --images, or from a flat test/ of folder:PATH. Their ids are the
    names of the files, and their labels the names of the classes, unless a sample submission shows other ones.
    """
    from orchestrator.executors.devices import assign_devices
    from orchestrator.sessions import submit
    from orchestrator.storage.remembered_folders import data_folder_of
    from orchestrator.submission.images_to_predict import ImagesRequest

    request = ImagesRequest(folder=images, **form)
    if file is not None:
        _check(file, run, dataset, request, data_dir, runs)
        return
    refuse_idle("without --check", "dataset")
    if images is not None:
        refuse_idle("with --images", "ood_dir", "partial")
        if output is None:
            raise InvalidInput("--images needs --output FILE, the submission to write")
    else:
        refuse_idle("without --images", "output")
    study, folder = _model(run, runs)
    record = folder.read()
    data_folder = data_folder_of(study.read(), data_dir, say)
    what = submit.target(record.recipe.dataset, ood_dir, data_folder, partial=partial, request=request)
    submit.submit(folder, record, what, data_folder, assign_devices(device, "1").devices[0], say, output=output)


def _check(
    file: Path, run: str | None, dataset: str | None, request: "ImagesRequest", data_dir: Path | None, runs: Path | None
) -> None:
    """`--check`. A submission for given images is of RUN, of the data set, of the run beside it, or of the newest retrain."""
    from orchestrator.sessions import submit
    from orchestrator.storage.remembered_folders import data_folder_of

    given = (request.folder is not None or request.sample is not None) and dataset is None
    of_model = given and (run is not None or not submit.lies_in_run(file))
    why = "with --check and --dataset" if dataset is not None else "with --check"
    refuse_idle(why, "output", "ood_dir", "partial", "device", *(() if of_model else ("run", "runs")))
    if of_model:
        study, folder = _model(run, runs)
        data_folder = data_folder_of(study.read(), data_dir, say)
        found = submit.check(file, folder.read().recipe.dataset, data_folder, request=request, run=folder)
    else:
        data_folder = data_dir if data_dir is not None else data_folder_of(submit.study_of(file), None, say)
        found = submit.check(file, dataset or submit.dataset_of(file), data_folder, request=request)
    emit(printable(f"{file}: {found}"))


def _model(run: str | None, runs: Path | None) -> "tuple[StudyFolder, RunFolder]":
    """The run that is named, or else the newest retrain."""
    from orchestrator.sessions.retrain import newest_retrain
    from orchestrator.storage.runs import RunsFolder

    store = RunsFolder(last_runs_folder(runs))
    return store.find_run(run) if run is not None else newest_retrain(store)


COMMANDS: dict[str, Any] = {"submit": submit}

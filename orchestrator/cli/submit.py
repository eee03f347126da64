"""`orchestrate submit`."""

from pathlib import Path
from typing import Any

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
from orchestrator.cli.parameter_types import Location
from orchestrator.cli.process.standard_streams import emit
from orchestrator.support.wording import printable


@click.command("submit", cls=Command, short_help="Write or check a submission.")
@click.argument("run", required=False)
@click.option("--check", "file", type=Location(), metavar="FILE", help="Check this submission line by line; predict nothing.")
@click.option("--dataset", metavar="NAME", help="With --check: data set of the submission.  [default: its run's, else cifar100]")
@ood_option
@partial_option
@device_option
@study_data_option
@unsettled_runs_option
def submit(
    run: str | None,
    file: Path | None,
    dataset: str | None,
    ood_dir: Path | None,
    partial: bool,
    device: str,
    data_dir: Path | None,
    runs: Path | None,
) -> None:
    """Write submission.csv from the weights of RUN, or check an existing submission.

    RUN is a retrain such as part2/retrain/0007-1a2b3c4d, or a trial whose weights were kept, such as part2/7. Without RUN, the
    newest retrain is taken. The submission predicts the out-of-distribution files if they exist, otherwise the test images.
    """
    from orchestrator.executors.devices import assign_devices
    from orchestrator.sessions import submit
    from orchestrator.sessions.retrain import newest_retrain
    from orchestrator.storage.remembered_folders import data_folder_of
    from orchestrator.storage.runs import RunsFolder

    if file is not None:
        refuse_idle("with --check", "run", "ood_dir", "partial", "device", "runs")
        data_folder = data_dir if data_dir is not None else data_folder_of(submit.study_of(file), None, say)
        emit(printable(f"{file}: {submit.check(file, dataset or submit.dataset_of(file), data_folder)}"))
        return
    refuse_idle("without --check", "dataset")
    store = RunsFolder(last_runs_folder(runs))
    study, folder = store.find_run(run) if run is not None else newest_retrain(store)
    record = folder.read()
    data_folder = data_folder_of(study.read(), data_dir, say)
    what = submit.target(record.recipe.dataset, ood_dir, data_folder, partial=partial)
    submit.submit(folder, record, what, data_folder, assign_devices(device, "1").devices[0], say)


COMMANDS: dict[str, Any] = {"submit": submit}

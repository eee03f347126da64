"""`make bench`, or `python -m benchmarks.training [--quick] [--only NAME] [--device cuda]`.

Both sides are measured in one process, in alternating order, on the real CIFAR-100 and on a machine that should have nothing else
to do. What one run finds replaces what an earlier one found of the same benchmark, and leaves the others. The exit code is 1 when
a must is missed. On a GPU there are aims only; `--column gpu` measures as there on another device, to try what is written for it.
"""

import argparse
import dataclasses
import functools
import os
import sys
import warnings
from pathlib import Path

from benchmarks.measuring.keeping import keep
from benchmarks.measuring.surroundings import ROOT
from orchestrator import plugins
from orchestrator.errors import OrchestrateError, UnknownName
from orchestrator.executors.devices import assign_devices, worker_settings
from orchestrator.support.environment import cores


def main() -> int:
    """Measure what is asked for, print the tables, and keep them."""
    given = _given()
    try:
        return _measured(given)
    except OrchestrateError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code


def _measured(given: argparse.Namespace) -> int:
    folder = given.data_dir.resolve()
    plugins.dataset("cifar100").check(folder)
    _begin_as_worker()
    import torch

    from benchmarks.training import accuracy, epochs, pipeline, prediction
    from benchmarks.training.setting import Setting

    torch.set_num_threads(cores())
    # Where there are fewer cores than workers torch advises against them; whether it is right is measured.
    warnings.filterwarnings("ignore", message="This DataLoader will create")
    (name,) = assign_devices(given.device, "1").devices
    device = torch.device(name)
    setting = Setting(device=device, column=given.column or ("gpu" if device.type == "cuda" else "cpu"), folder=folder)
    if given.quick:
        setting = dataclasses.replace(setting, choosing_passes=2)
    benchmarks = {
        "pipeline": pipeline.measure,
        "cnn": epochs.measure_cnn,
        "resnet18": epochs.measure_resnet18,
        "prediction": prediction.measure,
        "cnn-accuracy": accuracy.measure_cnn,
        "resnet18-accuracy": accuracy.measure_resnet18,
    }
    names = given.only or list(benchmarks)
    if unknown := set(names) - set(benchmarks):
        raise UnknownName("benchmark", min(unknown), benchmarks)
    measures = {name: functools.partial(measure, setting) for name, measure in benchmarks.items()}
    file = given.output / f"training{'' if setting.column == 'cpu' else '-gpu'}.json"
    return int(not keep("How fast the training loop is", file, measures, names, quick=given.quick))


def _begin_as_worker() -> None:
    """Start again with a worker's environment, for both sides: it is read when a process starts. Nothing where it is there.

    The plain loop gains by it as well: the threads of the training process, when they wait, leave its DataLoader the cores.
    """
    wanted = worker_settings(cores())
    if any(os.environ.get(name) != value for name, value in wanted.items()):
        sys.stdout.flush()
        words = [sys.executable, "-m", "benchmarks.training", *sys.argv[1:]]
        os.execve(sys.executable, words, {**os.environ, **wanted})


def _given() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training", description=__doc__)
    parser.add_argument("--only", action="append", help="this benchmark; may be given several times")
    parser.add_argument(
        "--quick", action="store_true", help="a small part of each, to see that it works: its figures mean little"
    )
    parser.add_argument("--device", default="cpu", help="cpu, or cuda, or cuda:1 and so on")
    parser.add_argument("--column", choices=("cpu", "gpu"), help="whose bounds and sizes; by default the device's")
    parser.add_argument("--data-dir", type=Path, default=ROOT / "data", help="where cifar-100-python lies")
    parser.add_argument(
        "--output", type=Path, default=ROOT / "benchmarks" / "results", help="folder for training.json and training.md"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

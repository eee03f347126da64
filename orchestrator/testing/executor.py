"""What every executor promises (`orchestrator.executors.base.Executor`): the same events for the same jobs."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator import plugins
from orchestrator.executors.base import Executor
from orchestrator.executors.in_process import InProcess
from orchestrator.hyperparameters import complete
from orchestrator.jobs import Began, Event, Failed, Finished, Job, Measured, Paused, Saved, WorkerLost
from orchestrator.recipe import Recipe
from orchestrator.record import Epoch, Metric
from orchestrator.storage import checkpoint
from orchestrator.storage.run_folder import RunFolder
from orchestrator.testing.training_runs import figures

SECONDS = 120.0  # to wait for anything at all
_RUN, _NEXT_RUN = "s/trials/0000", "s/trials/0001"


class ExecutorConformance:
    """Inherit it, and make the executor: with one worker, that has one thread and trains on the CPU.

    One executor serves all tests of a class, each of which ends what it starts.
    """

    def make(self, folder: Path) -> Executor:
        """An executor whose workers find plug-ins from the working directory, with `folder` for its own files."""
        pytest.fail(f"{type(self).__name__} must define `make`, which returns the executor")

    @pytest.fixture(scope="class")
    @classmethod
    def plugin_folder(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        """A working directory with a trainer whose jobs do what a test prescribes."""
        return with_prescribed_trainer(tmp_path_factory.mktemp("plugins"))

    @pytest.fixture(autouse=True)
    def in_plugin_folder(self, plugin_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """All tests run there."""
        monkeypatch.chdir(plugin_folder)

    @pytest.fixture(scope="class")
    @classmethod
    def executor(cls, plugin_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Executor]:
        """The executor that is tested."""
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(plugin_folder)
            made = cls().make(tmp_path_factory.mktemp("executor"))
        yield made
        made.close()

    def test_a_job_is_trained_to_its_end(self, executor: Executor, tmp_path: Path) -> None:
        executor.start(job(tmp_path))
        events = until(executor, Finished, Failed)
        assert isinstance(events[0], Began)
        assert events[0].facts.threads == 1
        assert len(events[0].facts.data_digest) == 64
        assert [epoch.number for epoch in epochs(events)] == [1, 2, 3, 4]
        assert isinstance(events[-1], Finished)
        assert checkpoint.read(tmp_path / "run" / "best.pt")["data"]["digest"] == events[0].facts.data_digest

    def test_a_worker_waits_for_its_grant_and_serves_the_next_job(self, executor: Executor, tmp_path: Path) -> None:
        executor.start(job(tmp_path, until=2))
        until(executor, Measured)
        executor.grant(_RUN, 3)
        seen: list[Event] = []
        quiet = time.monotonic() + 2.0
        while time.monotonic() < quiet:
            seen += executor.events(0.2)
        assert max(epoch.number for epoch in epochs(seen)) == 3
        executor.stop(_RUN)
        executor.start(replace(job(tmp_path), run_id=_NEXT_RUN))
        assert {event.run_id for event in until(executor, Finished, Failed)} == {_NEXT_RUN}

    def test_a_paused_job_resumes_where_it_was_with_the_same_numbers(self, executor: Executor, tmp_path: Path) -> None:
        executor.start(job(tmp_path, trainer="cnn", until=2))
        whole = until(executor, Measured)
        while len(epochs(whole)) < 2:
            whole += until(executor, Measured)
        executor.stop(_RUN, keep=True)
        assert isinstance(until(executor, Paused)[-1], Paused)
        executor.start(replace(job(tmp_path, trainer="cnn", attempt=2), resume=True))
        events = until(executor, Finished, Failed)
        assert isinstance(events[0], Began)
        assert [figures(epoch) for epoch in events[0].epochs] == epochs(whole)
        assert [epoch.number for epoch in epochs(events)] == [3, 4]
        reference = InProcess(device="cpu", threads=1, data_folder=tmp_path)
        reference.start(replace(job(tmp_path, trainer="cnn"), run_id="s/trials/0009"))
        assert epochs(until(reference, Finished))[2:] == epochs(events)

    def test_it_gives_the_same_numbers_as_this_process(self, executor: Executor, tmp_path: Path) -> None:
        found = []
        for number, each in enumerate((executor, InProcess(device="cpu", threads=1, data_folder=tmp_path))):
            folder = tmp_path / str(number)
            folder.mkdir()
            each.start(job(folder, trainer="cnn", epochs=2, batch_size=64, dropout=0.2))
            found.append(epochs(until(each, Finished, Failed)))
        assert len(found[0]) == 2
        assert found[0] == found[1]

    def test_a_failing_trainer_is_a_failed_job_and_the_worker_lives_on(self, executor: Executor, tmp_path: Path) -> None:
        executor.start(job(tmp_path, failure="raise"))
        failed = until(executor, Failed)[-1]
        assert isinstance(failed, Failed)
        assert "told to fail" in failed.failure.message
        assert failed.failure.source_lines
        executor.start(replace(job(tmp_path), run_id=_NEXT_RUN))
        assert isinstance(until(executor, Finished, Failed)[-1], Finished)

    def test_checkpoints_are_written_by_share_of_time(self, executor: Executor, tmp_path: Path) -> None:
        executor.start(replace(job(tmp_path, epochs=6), checkpoint_share=1.0))
        assert [type(event) for event in until(executor, Finished)].count(Saved) >= 3
        executor.start(replace(job(tmp_path, epochs=6), checkpoint_share=0.0, run_id=_NEXT_RUN))
        assert Saved not in [type(event) for event in until(executor, Finished)]

    def test_the_test_set_is_measured_once_and_only_when_asked(self, executor: Executor, tmp_path: Path) -> None:
        executor.start(job(tmp_path, epochs=1))
        (plain,) = [event for event in until(executor, Finished) if isinstance(event, Finished)]
        assert plain.test is None
        executor.start(replace(job(tmp_path, epochs=1), measure="test", run_id=_NEXT_RUN))
        (measured,) = [event for event in until(executor, Finished) if isinstance(event, Finished)]
        assert measured.test is not None
        assert measured.test.images == len(plugins.dataset("digits").load(tmp_path, "test").labels)
        assert measured.test.loss == pytest.approx(2.302585, rel=1e-5)  # the trainer gives every class a tenth

    def test_an_epoch_that_cannot_be_recorded_is_its_trainers_failure(self, executor: Executor, tmp_path: Path) -> None:
        executor.start(job(tmp_path, failure="foreign-number"))
        failed = until(executor, Failed, WorkerLost)[-1]
        assert isinstance(failed, Failed)
        assert failed.failure.kind == "crashed"
        assert "Tensor" in failed.failure.message


def with_prescribed_trainer(folder: Path) -> Path:
    """The folder, with the trainer `prescribed` in it for commands and workers that run there."""
    (folder / "trainers").mkdir()
    (folder / "trainers" / "prescribed.py").write_text("from orchestrator.testing.prescribed_trainer import trainer\n")
    return folder


def job(
    folder: Path, *, trainer: str = "prescribed", epochs: int = 4, attempt: int = 1, until: int | None = None, **params: Any
) -> Job:
    """A job on the data set `digits` whose run folder lies in `folder`; `until` is the epoch that is granted, by default all."""
    path = folder / "run"
    path.mkdir(exist_ok=True)
    RunFolder(path).begin_attempt(attempt)
    recipe = Recipe(
        plan="p",
        trainer=trainer,
        dataset="digits",
        epochs=epochs,
        seed=5,
        params=complete(plugins.trainer(trainer).hyperparameters, params),
    )
    return Job(run_id=_RUN, attempt=attempt, recipe=recipe, metric=Metric(), until_epoch=until or epochs, folder=str(path))


def until(executor: Executor, *kinds: type) -> list[Event]:
    """Everything that happens up to the first event of one of these kinds."""
    happened: list[Event] = []
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        happened += executor.events(1.0)
        if any(isinstance(event, kinds) for event in happened):
            return happened
    raise AssertionError(f"none of {kinds} within {SECONDS} s, but {happened}")


def epochs(events: list[Event]) -> list[Epoch]:
    """The epochs that were measured, without the seconds that they took."""
    return [figures(event.epoch) for event in events if isinstance(event, Measured)]

"""A study has exactly its trials, whatever happens to them, and an interrupted one ends as one that was left alone."""

import math
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import plugins
from orchestrator.engine.active_run import Assignment
from orchestrator.engine.dispatch import Dispatch
from orchestrator.engine.kept_checkpoints import BEST_KEPT
from orchestrator.errors import DiskError
from orchestrator.executors.in_process import InProcess
from orchestrator.jobs import Event
from orchestrator.record import Epoch, FailureKind, Kind, Metric, Provenance, RunRecord, Status
from orchestrator.storage.runs import RunsFolder
from orchestrator.storage.study_folder import StudyFolder
from orchestrator.support.clock import SystemClock
from tests.helpers.in_process_study import Interrupted, PowerCut, conduct, opened, results
from tests.helpers.paths import PLUGINS


@pytest.fixture(autouse=True)
def in_plugin_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PLUGINS)


def folder(tmp_path: Path, name: str = "curves") -> StudyFolder:
    return RunsFolder(tmp_path / "runs").known(name)


class Hasty:
    """The executor, giving everything that happens until a worker waits as one batch, as a slow conductor finds it."""

    workers = 1

    def __init__(self, tmp_path: Path) -> None:
        self._inner = InProcess(device="cpu", threads=1, data_folder=tmp_path / "data")
        self.start, self.grant = self._inner.start, self._inner.grant
        self.stop, self.close = self._inner.stop, self._inner.close
        self.replace, self.retire = self._inner.replace, self._inner.retire

    def events(self, timeout: float) -> tuple[Event, ...]:
        batch: list[Event] = []
        while more := self._inner.events(timeout):
            batch += more
        return tuple(batch)


def test_an_update_is_heard_before_the_next_event_is_recorded(tmp_path: Path) -> None:
    study = opened(tmp_path)
    study.folder.write(study.file)
    recipe = replace(study.plan.recipe, params=study.complete({}))
    record = RunRecord(
        run_id="curves/trials/0000", kind=Kind.TRIAL, number=0, recipe=recipe, provenance=Provenance(study=study.file.uuid)
    )
    dispatch = Dispatch(archive=study.folder, executor=Hasty(tmp_path), observers=[], clock=SystemClock())
    dispatch.start(record, Assignment(until_epoch=recipe.epochs))
    recorded = [len(study.folder.folder(record).epochs()) for update in dispatch.wait(1.0) if not update.record.status.finished]
    assert recorded == list(range(recipe.epochs + 1))


@pytest.mark.parametrize("pruner", ["median", "none", "asha", "hyperband"])
def test_events_that_come_together_are_decided_one_by_one(tmp_path: Path, pruner: str) -> None:
    conduct(tmp_path, 10, executor=Hasty(tmp_path), pruner=pruner)
    conduct(tmp_path / "alone", 10, pruner=pruner)
    assert results(folder(tmp_path)) == results(folder(tmp_path / "alone"))


def test_a_job_that_trains_ahead_of_its_decisions_is_still_pruned_once(tmp_path: Path) -> None:
    with pytest.raises(PowerCut):
        conduct(tmp_path, 12, executor=Interrupted(tmp_path, 62))
    (under_way,) = [record for record in folder(tmp_path).runs() if record.status is Status.RUNNING]
    assert under_way.number >= 5
    records = conduct(tmp_path, 12, executor=Hasty(tmp_path))
    assert [record.number for record in records] == list(range(12))
    assert all(record.status.finished for record in records)


def test_a_trial_that_cannot_begin_again_fails_with_the_epochs_that_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(PowerCut):
        conduct(tmp_path, 10, executor=Interrupted(tmp_path, 6))
    with monkeypatch.context() as patch:
        patch.setattr(type(plugins.trainer("curve")), "begin", lambda *words: exec("raise MemoryError('no room')"))
        conduct(tmp_path, 1)
    (failed,) = folder(tmp_path).runs()
    assert (failed.status, failed.epochs) == (Status.FAILED, len(folder(tmp_path).folder(failed).epochs()))
    assert failed.epochs > 0
    conduct(tmp_path, 3)
    assert all(record.status.finished for record in folder(tmp_path).runs())


def test_exactly_as_many_trials_as_asked_each_recorded_once(tmp_path: Path) -> None:
    records = conduct(tmp_path, 12)
    assert [record.number for record in records] == list(range(12))
    assert all(record.status.finished for record in records)
    assert folder(tmp_path).runs(Kind.TRIAL) == list(records)
    assert Counter(record.status for record in records)[Status.PRUNED] >= 2
    for record in records:
        epochs = folder(tmp_path).folder(record).epochs()
        assert len(epochs) == record.epochs
        assert record.best == record.metric.best(epochs)
        assert record.epochs == 8 or record.status is Status.PRUNED
        assert record.seconds == pytest.approx(0.25 * record.epochs)


@pytest.mark.parametrize("after", [1, 10, 51, *(pytest.param(after, marks=pytest.mark.slow) for after in (2, 9, 11, 30))])
@pytest.mark.parametrize("checkpoint_share", [0.02, 1.0])
def test_a_study_that_was_cut_off_and_resumed_ends_as_one_left_alone(tmp_path: Path, after: int, checkpoint_share: float) -> None:
    conduct(tmp_path / "alone", 10)
    with pytest.raises(PowerCut):
        conduct(tmp_path / "cut", 10, executor=Interrupted(tmp_path, after), checkpoint_share=checkpoint_share)
    conduct(tmp_path / "cut", 10, checkpoint_share=checkpoint_share)
    assert results(folder(tmp_path / "cut")) == results(folder(tmp_path / "alone"))


def test_a_resumed_trial_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(PowerCut):
        conduct(tmp_path, 10, executor=Interrupted(tmp_path, 9), checkpoint_share=1.0)
    (before,) = folder(tmp_path).runs(Kind.TRIAL)
    assert before.status is Status.RUNNING
    assert before.last is not None
    began: list[int] = []

    class Watching:
        def opened(self, record: RunRecord, epochs: Any) -> None:
            began.append(len(epochs))

        def measured(self, record: RunRecord, epoch: Any) -> None: ...

        def closed(self, record: RunRecord) -> None: ...

        def finish(self, timeout: float) -> None: ...

    after = conduct(tmp_path, 2, checkpoint_share=1.0, observers=[Watching()])
    assert began[0] >= before.last.epoch >= 3  # the last checkpoint's event may have been lost with the power
    assert began[1] == 0
    assert after[0].attempt == 2


@given(
    losses=st.lists(st.sampled_from([0.5, 1.0, 2.0, math.nan, math.inf]), max_size=6),
    direction=st.sampled_from(["maximize", "minimize"]),
    rule=st.sampled_from(["best", "last"]),
)
def test_a_curve_is_what_the_metric_says_of_every_beginning_of_the_run(losses: list[float], direction: Any, rule: Any) -> None:
    metric = Metric(name="val_loss", direction=direction, rule=rule)
    epochs = [
        Epoch(number=number, train_loss=1.0, train_acc=0.0, val_loss=loss, val_acc=0.0, lr=0.1, seconds=0.0)
        for number, loss in enumerate(losses, start=1)
    ]
    best = [metric.best(epochs[:count]) for count in range(1, len(epochs) + 1)]
    expected = [found.value if found is not None else math.nan for found in best]
    assert metric.objective_values(epochs) == pytest.approx(expected, nan_ok=True)


def test_a_finished_study_does_nothing_more(tmp_path: Path) -> None:
    first = conduct(tmp_path, 5)
    assert conduct(tmp_path, 5) == first
    assert conduct(tmp_path, 3) == first


def test_fewer_trials_than_are_under_way_leave_one_paused_which_goes_on_later(tmp_path: Path) -> None:
    with pytest.raises(PowerCut):
        conduct(tmp_path, 10, executor=Interrupted(tmp_path, 30))
    under_way = [record.number for record in folder(tmp_path).runs() if record.status is Status.RUNNING]
    finished = [record for record in folder(tmp_path).runs() if record.status.finished]
    assert len(under_way) == 1
    conduct(tmp_path, len(finished))
    assert folder(tmp_path).runs()[under_way[0]].status is Status.PAUSED
    conduct(tmp_path, 10)
    conduct(tmp_path / "alone", 10)
    assert results(folder(tmp_path)) == results(folder(tmp_path / "alone"))


@pytest.mark.parametrize(
    ("misbehaviour", "kind"),
    [
        ("raise", FailureKind.CRASHED),
        ("diverge", FailureKind.DIVERGED),
        ("out-of-memory", FailureKind.OUT_OF_MEMORY),
    ],
)
def test_a_trial_that_fails_is_told_apart_counted_and_costs_no_other(
    tmp_path: Path, misbehaviour: str, kind: FailureKind
) -> None:
    records = conduct(tmp_path, 6, fixed={2: {"misbehaviour": misbehaviour, "at_epoch": 3}})
    assert len(records) == 6
    failed = records[2]
    assert failed.status is Status.FAILED
    assert failed.failure is not None
    assert failed.failure.kind is kind
    assert failed.failure.message
    assert failed.epochs == 2
    assert all(record.status is not Status.FAILED for record in records if record.number != 2)


def test_a_damaged_checkpoint_costs_its_epochs_and_is_told(tmp_path: Path) -> None:
    with pytest.raises(PowerCut):
        conduct(tmp_path, 10, executor=Interrupted(tmp_path, 9), checkpoint_share=1.0)
    (record,) = folder(tmp_path).runs()
    checkpoint = folder(tmp_path).folder(record).last_checkpoint
    content = bytearray(checkpoint.read_bytes())
    content[len(content) // 2] ^= 1
    checkpoint.write_bytes(content)
    said: list[str] = []
    conduct(tmp_path, 10, checkpoint_share=1.0, say=said.append)
    assert any("damaged" in line and "from the beginning" in line for line in said)
    conduct(tmp_path / "alone", 10)
    assert results(folder(tmp_path)) == results(folder(tmp_path / "alone"))


def test_weights_are_kept_of_the_best_few_only_and_nothing_else_stays(tmp_path: Path) -> None:
    records = conduct(tmp_path, 12)
    complete = sorted((record for record in records if record.status is Status.COMPLETE), key=RunRecord.order)
    assert len(complete) > BEST_KEPT
    kept = {record.number for record in records if folder(tmp_path).folder(record).best_checkpoint.exists()}
    assert kept == {record.number for record in complete[:BEST_KEPT]}
    names = {file.name for record in records for file in folder(tmp_path).folder(record).path.iterdir()}
    assert names == {"record.json", "epochs.jsonl", "best.pt"}


def test_a_disk_that_refuses_ends_the_session_and_loses_nothing(tmp_path: Path) -> None:
    conduct(tmp_path, 4)
    before = results(folder(tmp_path))
    (folder(tmp_path).path / "trials" / "0004").write_text("in the way: permissions do not stop root")
    with pytest.raises(DiskError, match="0004"):
        conduct(tmp_path, 8)
    assert results(folder(tmp_path)) == before
    (folder(tmp_path).path / "trials" / "0004").unlink()
    conduct(tmp_path, 8)
    conduct(tmp_path / "alone", 8)
    assert results(folder(tmp_path)) == results(folder(tmp_path / "alone"))

"""How many workers a GPU's memory has room for, and what is known of that memory."""

from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator import plugins
from orchestrator.executors.gpu_capacity import Timed, gain, room
from orchestrator.executors.wire import EVENTS
from orchestrator.hyperparameters import complete
from orchestrator.jobs import Job, Measured
from orchestrator.recipe import Recipe
from orchestrator.record import Metric
from orchestrator.support.gpu_memory import GpuMemory, gpu_memory
from orchestrator.worker.runner import Runner
from tests.helpers.paths import PLUGINS
from tests.helpers.simulated_gpus import GIB, PLENTY


@pytest.mark.parametrize(
    ("peak", "available", "workers"),
    [
        (1 * GIB, 139 * GIB, 8),  # never more than 8
        (2 * GIB, 139 * GIB, 8),
        (8 * GIB, 139 * GIB, 8),  # 8 x (2 x 8 + 1) = 136
        (9 * GIB, 139 * GIB, 4),
        (2 * GIB, 10 * GIB, 2),  # 2 x (2 x 2 + 1), all of it
        (2 * GIB, 10 * GIB - 1, 1),
        (20 * GIB, 24 * GIB, 1),
        (30 * GIB, 24 * GIB, 1),  # one there is in any case
        (0, 16 * GIB, 8),
    ],
)
def test_memory_has_room_for(peak: int, available: int, workers: int) -> None:
    assert room(peak, available) == workers


def test_throughput_grows_by_what_runs_do_not_slow_down() -> None:
    assert gain(1, 2, [Timed(fewer=10.0, more=10.0)]) == pytest.approx(2.0)
    assert gain(1, 2, [Timed(fewer=10.0, more=20.0)]) == pytest.approx(1.0)
    assert gain(2, 4, [Timed(fewer=9.0, more=12.0), Timed(fewer=0.3, more=0.4)]) == pytest.approx(1.5)
    served_first, starved = Timed(fewer=1.0, more=1.0), Timed(fewer=8.0, more=800.0)
    assert gain(1, 2, [served_first, starved]) == pytest.approx(1.01)


def test_the_memory_of_a_gpu_is_what_torch_says(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def says(value: object) -> Callable[[str], object]:
        def answer(device: str) -> object:
            asked.append(device)
            return value

        return answer

    monkeypatch.setattr("torch.cuda.mem_get_info", says((70 * GIB, 80 * GIB)))
    monkeypatch.setattr("torch.cuda.max_memory_reserved", says(9 * GIB))
    monkeypatch.setattr("torch.cuda.memory_reserved", says(4 * GIB))
    assert gpu_memory("cuda:1") == GpuMemory(peak=9 * GIB, available=74 * GIB)
    assert asked == ["cuda:1"] * 3
    assert gpu_memory("cpu") is None
    assert gpu_memory("mps") is None


def test_what_a_worker_knows_of_its_gpu_travels_with_every_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PLUGINS)
    monkeypatch.setattr("orchestrator.worker.job.gpu_memory", lambda device: PLENTY if device == "cpu" else None)
    runner = Runner(device="cpu", threads=1, data_folder=tmp_path)
    params = complete(plugins.trainer("curve").hyperparameters, {})
    recipe = Recipe(plan="p", trainer="curve", dataset="digits", epochs=3, seed=0, params=params)
    runner.start(Job(run_id="0", attempt=1, recipe=recipe, metric=Metric(), until_epoch=3, folder=str(tmp_path)))
    for _ in range(2):
        (measured,) = runner.step()
        assert isinstance(measured, Measured)
        assert measured.memory == PLENTY
        assert EVENTS.decode(EVENTS.encode(measured)) == measured

"""How far a prediction is, on a terminal in one line, which ends also where the prediction fails."""

import io

import pytest

from orchestrator.submission import prediction_progress
from orchestrator.submission.prediction_progress import PredictionProgress


def test_a_slow_prediction_has_a_rate_and_its_end_no_line(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    clock = iter([0.0, 20.0, 40.0, 60.0])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    monkeypatch.setattr(prediction_progress, "on_terminal", lambda: False)
    progress = PredictionProgress(said.append)
    progress(5, 30)
    progress(1000, 1010)
    progress(30, 30)
    assert said == [
        "predicted 5 of 30 images, 0.25 images/s, 100 s left",
        "predicted 1,000 of 1,010 images, 25 images/s, 0 s left",
    ]


@pytest.mark.parametrize("done", [4, 10])
def test_the_line_on_a_terminal_ends_once(done: int, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setattr(prediction_progress, "on_terminal", lambda: True)
    progress = PredictionProgress(lambda line: None)
    progress.end()
    assert terminal.getvalue() == ""
    for number in range(2, done + 1, 2):
        progress(number, 10)
    progress.end()
    progress.end()
    assert terminal.getvalue().count("\r") == done // 2
    assert terminal.getvalue().endswith("\x1b[K\n")
    assert terminal.getvalue().count("\n") == 1

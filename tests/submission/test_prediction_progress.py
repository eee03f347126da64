"""How far a prediction is, on a terminal in one line, which ends also where the prediction fails."""

import io

import pytest

from orchestrator.submission import prediction_progress
from orchestrator.submission.prediction_progress import PredictionProgress


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

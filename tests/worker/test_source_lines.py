"""Where an error arose, as a record names it: in the user's own code, where that is on the way."""

import linecache
from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.contracts import Diverged
from orchestrator.record import Failure, FailureKind, SourceLine
from orchestrator.support.serialization import dumps, from_plain, parse
from orchestrator.worker.failures import described
from tests.helpers.paths import ROOT

USER, OURS = "/home/somebody/trainers/mine.py", str(ROOT / "trainers" / "loop" / "training.py")
LIBRARY, PYTHON = "/venv/lib/python3.13/site-packages/torch/nn/functional.py", linecache.__file__


def made(file: str, statement: str, **names: Any) -> Callable[[], Any]:
    """The function `step` of a file with this statement in line 2."""
    exec(compile(f"def step():\n    {statement}\n", file, "exec"), names)
    return names["step"]  # type: ignore[no-any-return]


def raised(*files: str, error: Exception | None = None) -> Exception:
    """An error that came through these files, the innermost one last."""
    call = made(files[-1], "raise error", error=error or ValueError("no"))
    for file in reversed(files[:-1]):
        call = made(file, "call()", call=call)
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - its frames are what matters
        call()
    traceback = caught.value.__traceback__
    assert traceback is not None
    return caught.value.with_traceback(traceback.tb_next)  # without this file


@pytest.mark.parametrize(
    ("through", "expected"),
    [
        ((USER,), (USER,)),
        ((OURS, USER), (USER,)),
        ((OURS, USER, LIBRARY), (USER, LIBRARY)),
        ((OURS, LIBRARY, USER, LIBRARY, PYTHON), (USER, PYTHON)),
        ((OURS, USER, OURS), (USER, OURS)),
        ((OURS, LIBRARY), (OURS, LIBRARY)),
        ((OURS,), (OURS,)),
        ((LIBRARY, "<frozen importlib._bootstrap>"), ("<frozen importlib._bootstrap>",)),
    ],
)
def test_the_users_line_comes_first_and_then_the_one_that_raised(through: tuple[str, ...], expected: tuple[str, ...]) -> None:
    failure = described(raised(*through))
    assert failure.source_lines == tuple(SourceLine(file=file, line=2, function="step") for file in expected)


def test_an_error_that_was_never_raised_has_no_line() -> None:
    assert described(Diverged("train_loss is nan")) == Failure(
        kind=FailureKind.DIVERGED, message="train_loss is nan", error="Diverged"
    )
    assert described(ValueError()).source_lines == ()


def test_where_it_was_does_not_make_it_another_failure() -> None:
    """A retry asks whether the same happened before, on another worker."""
    one, other = described(raised(USER)), described(raised(OURS, LIBRARY))
    assert one.source_lines != other.source_lines
    assert one == other


def test_it_is_read_back_and_earlier_records_have_none() -> None:
    failure = described(raised(USER, LIBRARY))
    assert from_plain(Failure, parse(dumps(failure))).source_lines == failure.source_lines
    assert from_plain(Failure, {"kind": "crashed", "message": "x", "error": "ValueError"}).source_lines == ()


def test_bytes_that_are_no_text_can_be_recorded() -> None:
    failure = described(raised("/home/\udcff/mine.py", error=ValueError("no file /data/\udcfe")))
    assert failure.message == "ValueError: no file /data/\\udcfe"
    assert failure.source_lines[0].file == "/home/\\udcff/mine.py"
    assert dumps(failure).encode()

"""Words of `enqueue`: what the study does not search is refused, and a value counts in whatever way it is written."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from orchestrator.search import spaces
from orchestrator.search.written_values import written_by
from orchestrator.sessions.open_study import Request, open_study
from orchestrator.storage.runs import RunsFolder
from orchestrator.storage.study_folder import StudyFolder
from orchestrator.support.clock import SystemClock
from orchestrator.support.serialization import parse
from orchestrator.support.wording import one_line
from tests.generated_inputs.amounts import amounts, for_all
from tests.generated_inputs.conftest import World
from tests.generated_inputs.mutations import changed, unusual_json, words, written
from tests.generated_inputs.plug_ins import PLAN, plan_file
from tests.generated_inputs.verdict import USAGE, judged
from tests.helpers.in_process_cli import content

CHOICES: dict[str, list[Any]] = {
    "optimizer": ["sgd", {"name": "adamw", "beta2": 0.99}, "nadam"],
    "averaging": [None, "ema", {"name": "swa", "start": 0.5}],
    "hidden": [[], [16], [16, 8]],
    "blocks": [[{"channels": 8}], [{"channels": 8, "convolutions": 2, "batch_norm": False}, {"channels": 8, "pool": False}]],
    "average": [False, True],
    "precision": ["float32", "bfloat16"],
}
# Some values of each hyperparameter, also ones that are written otherwise in the plan.
VALUES: dict[str, list[Any]] = {
    **CHOICES,
    "optimizer": [*CHOICES["optimizer"], {"name": "sgd"}, {"name": "nadam"}],
    "averaging": [*CHOICES["averaging"], {"name": "ema"}],
    "batch_size": [4, 8],
    "learning_rate": [1e-4, 0.03, 1.0],
    "dropout": [0.0, 0.1, 0.5],
    "patience": [0, 2],
}


@pytest.fixture
def study(world: World, tmp_path: Path) -> StudyFolder:
    """A study of that space, with no trial yet."""
    more = " ".join(f'"{name}": CategoricalDistribution({choices}),' for name, choices in CHOICES.items())
    (tmp_path / "words.py").write_text(plan_file(trainer='"cnn"', more=f'"patience": IntDistribution(0, 2), {more}'))
    request = Request(plan=str(tmp_path / "words.py"), trials=4, study=PLAN)
    opened = open_study(request, RunsFolder(tmp_path / "runs"), world.data, SystemClock(), lambda line: None)
    opened.folder.write(opened.file)
    return opened.folder


def enqueued(capsys: pytest.CaptureFixture[str], study: StudyFolder, *typed: str) -> dict[str, Any] | None:
    """What waits after the command; None where it is refused. Then nothing waits again."""
    before = content(study.path)
    names = {one_line(word.partition("=")[0])[:20] or "''" for word in typed} | {repr(word) for word in typed}
    result = judged(capsys, study.path, (0, USAGE), "enqueue", PLAN, "--runs", study.path.parent, "--", *typed, writes=True)
    if result.code:
        assert any(name in result.messages for name in names) or "" in typed, result.messages
        return None
    (file,) = study.enqueued.iterdir()
    found = parse(file.read_bytes())
    file.unlink()
    study.enqueued.rmdir()
    assert content(study.path) == before
    assert isinstance(found, dict)
    return found


@st.composite
def wrong_words(draw: st.DrawFn) -> list[str]:
    """One word or several, of which one is another than a name and a value."""
    name = draw(st.sampled_from(sorted(VALUES)))
    value = draw(st.sampled_from(VALUES[name]))
    text = draw(st.one_of(words(), changed(value).map(written)))
    odd = draw(st.sampled_from((f"{name}={text}", f"{text}={value}", text, f"{name}{text}", f"{name} = {value}", f"{name}=")))
    others = [f"{other}={written(VALUES[other][0])}" for other in draw(st.lists(st.sampled_from(sorted(VALUES)), max_size=2))]
    return [word.encode("utf-8", "backslashreplace").decode().replace("\0", "") for word in (*others, odd)]


@st.composite
def right_words(draw: st.DrawFn) -> tuple[list[str], dict[str, Any]]:
    """Names and values that the study searches, and the values."""
    names = draw(st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=3, unique=True))
    values = {name: draw(st.sampled_from(VALUES[name])) for name in names}
    return [f"{name}={draw(_spelled(value))}" for name, value in values.items()], values


def _spelled(value: Any) -> st.SearchStrategy[str]:
    """The ways to write a value, all of which mean it."""
    json_text = unusual_json(value, lines=False).map(lambda text: text.decode().strip())
    if isinstance(value, bool) or value is None:
        return st.sampled_from((str(value), str(value).lower(), json.dumps(value), str(value).upper()))
    if isinstance(value, int | float):
        forms = (str(value), f"{value:e}", f"{value:E}", f"+{value}", f"{value:.6f}", f"00{value}", f"{float(value)!r}0")
        return st.sampled_from([form for form in forms if float(form) == value])
    return json_text | st.just(value) if isinstance(value, str) else json_text


@amounts(8, 100)
def test_words_that_mean_nothing_are_refused_by_name(
    examples: int, study: StudyFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    search = study.read().require_search()
    space, how = spaces.space(search.plan_content["space"]), written_by("cnn")

    def check(typed: list[str]) -> None:
        found = enqueued(capsys, study, *typed)
        assert found is None or all(spaces.contains(space[name], value, name, how) for name, value in found.items())

    for_all(wrong_words(), check, examples)


@amounts(5, 50)
def test_a_value_counts_however_it_is_written(examples: int, study: StudyFolder, capsys: pytest.CaptureFixture[str]) -> None:
    how = written_by("cnn")

    def check(generated: tuple[list[str], dict[str, Any]]) -> None:
        typed, values = generated
        found = enqueued(capsys, study, *typed)
        assert found is not None, typed
        assert {name: how(name, value) for name, value in found.items()} == {
            name: how(name, value) for name, value in values.items()
        }

    for_all(right_words(), check, examples)

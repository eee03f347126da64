"""A plan file that cannot work is refused before any trial."""

from pathlib import Path

import pytest

from tests.cli.studies import PLAN, QUIET, Refuse

BROKEN_PLANS = {
    "has a syntax error": ("def plan(", "def plan(:", 65, ("SyntaxError", "line 11")),
    "raises when it is read": ('DATASET = "digits"', 'raise RuntimeError("boom")', 65, ("RuntimeError: boom", "line 8")),
    "ends the process": ('DATASET = "digits"', "raise SystemExit(3)", 65, ("SystemExit", "line 8")),
    "imports what is not there": ('DATASET = "digits"', "import nowhere", 65, ("No module named 'nowhere'",)),
    "names no data set": ('DATASET = "digits"', "", 65, ("does not define 'DATASET'",)),
    "is named otherwise": ("def plan(", "def plann(", 65, ("does not define 'plan'",)),
    "names an unknown data set": ('DATASET = "digits"', 'DATASET = "digit"', 2, ("unknown data set 'digit'; known: digits, ",)),
    "names an unknown trainer": ('trainer="curve"', 'trainer="curv"', 2, ("unknown trainer 'curv'; known: curve, ",)),
    "names an unknown pruner": (
        'pruner="median"',
        'pruner="medain"',
        2,
        ("unknown pruner 'medain'; known: median",),
    ),
    "takes no arguments": ("dataset: str, info: DataSetInfo", "", 65, ("TypeError", "takes 0 positional arguments")),
    "raises when it is asked": ("    return StudyPlan(", "    return info.nothing(", 65, ("no attribute 'nothing'", "line 12")),
    "gives something else": ("    return StudyPlan(", "    return dict(", 65, ("gives a dict where", "StudyPlan is expected")),
    "asks for no epochs": ("        epochs=8,", "        epochs=0,", 2, ("epochs must be at least 1, not 0",)),
    "asks for half a retrain": ("retrain_epochs=12", "retrain_epochs=-1", 2, ("retrain_epochs must be at least 1",)),
    "counts in a wrong direction": (
        "        confirm_epochs=8,",
        '        confirm_epochs=8, metric=__import__("orchestrator.record").record.Metric(direction="up"),',
        65,
        ("'up' is none of 'maximize', 'minimize'",),
    ),
    "has no distribution": ("FloatDistribution(0.0, 0.5)", "(0.0, 0.5)", 65, ("dropout must be an Optuna distribution",)),
    "has a range of another kind": (
        "FloatDistribution(0.0, 0.5)",
        'type("Range", (), {"low": 0.0, "high": 0.5})()',
        65,
        ("dropout must be an Optuna distribution",),
    ),
    "has a range upside down": ("FloatDistribution(0.0, 0.5)", "FloatDistribution(0.9, 0.5)", 65, ("ValueError", "line ")),
    "samples what its trainer does not have": (
        '"weight_decay": FloatDistribution',
        '"weight_decey": FloatDistribution',
        2,
        ("unknown hyperparameter 'weight_decey'; known: weight_decay, ", "its trainer does not have it"),
    ),
    "has a baseline outside its range": (
        '"learning_rate": 0.1',
        '"learning_rate": 100',
        2,
        ("learning_rate = 100 of the baseline 000-P1 is outside its range",),
    ),
    "fixes what its trainer does not accept": ('trainer="curve"', 'trainer="cnn", params={"hidden": [0]}', 2, ("'hidden'", "0")),
    "reaches beyond what its trainer accepts": (
        "FloatDistribution(0.0, 0.5)",
        "FloatDistribution(0.0, 1.5)",
        2,
        ("the range of dropout holds what its trainer refuses", "1.5"),
    ),
}


@pytest.mark.parametrize("broken", sorted(BROKEN_PLANS))
def test_a_plan_file_that_cannot_work_is_refused_before_any_trial(broken: str, refuse: Refuse, tmp_path: Path) -> None:
    old, new, code, says = BROKEN_PLANS[broken]
    text = PLAN.replace(old, new, 1)
    assert text != PLAN
    if "reaches" in broken:  # the trainer of the test plug-ins accepts everything
        text = text.replace('trainer="curve"', 'trainer="cnn"')
    file = tmp_path / "mine.py"
    file.write_text(text)
    message = refuse(code, "study", file, "--trials", "2", "--runs", tmp_path / "runs", *QUIET, says=says)
    assert "mine" in message


@pytest.mark.parametrize("name", ["nowhere.py", "folder.py"])
def test_a_plan_file_that_is_missing(name: str, refuse: Refuse, tmp_path: Path) -> None:
    (tmp_path / "folder.py").mkdir()
    refuse(66, "study", tmp_path / name, "--trials", "2", "--runs", tmp_path / "runs", says=(str(tmp_path / name),))


def test_a_plan_file_whose_name_cannot_be_a_study(refuse: Refuse, tmp_path: Path) -> None:
    (tmp_path / "my plan.py").write_text(PLAN)
    refuse(2, "study", tmp_path / "my plan.py", "--trials", "2", "--runs", tmp_path / "runs", says=("'my plan'", "1 to 64"))

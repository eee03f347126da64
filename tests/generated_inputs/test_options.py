"""Command lines with a word that is wrong, missing, superfluous or given twice: refused in one line, and nothing is changed."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import assume
from hypothesis import strategies as st

from orchestrator.support.durations import parse_duration
from orchestrator.support.wording import one_line
from tests.generated_inputs.amounts import amounts, for_all
from tests.generated_inputs.conftest import QUIET, World
from tests.generated_inputs.mutations import words
from tests.generated_inputs.plug_ins import DATASET, PLAN
from tests.generated_inputs.verdict import DATA, DIFFERS, DISK, MISSING, SERVICE, USAGE, judged

ANY = (0, USAGE, DATA, MISSING, SERVICE, DISK, DIFFERS)

# Each command with words that are right, and then changes no file: because it only looks, or is refused for its last option.
COMMANDS: Mapping[str, tuple[tuple[str, ...], dict[str, str]]] = {
    "study": (
        (PLAN, "--dry-run", "--executor", "in-process"),
        {
            "--trials": "6",
            "--study": "another",
            "--dataset": DATASET,
            "--epochs": "2",
            "--seed": "5",
            "--pruner": "none",
            "--sampler": "random",
            "--budget": "1h30m",
            "--patience": "3",
            "--storage": "sqlite:///RUNS/other.db",
            "--format": "json",
            "--runs": "RUNS",
            "--data-dir": "DATA",
            "--mirror": "off",
            "--device": "cpu",
            "--workers": "1",
        },
    ),
    "status": ((PLAN,), {"--runs": "RUNS", "--format": "json"}),
    "leaderboard": ((PLAN,), {"--runs": "RUNS", "--format": "md", "--report": "leaderboard"}),
    "recipe": ((f"{PLAN}/1",), {"--runs": "RUNS"}),
    "stop": ((PLAN,), {"--runs": "RUNS"}),
    "baselines": ((), {"--format": "csv"}),
    "enqueue": ((PLAN, "dropout=9"), {"--runs": "RUNS"}),
    "retrain": (
        (f"{PLAN}/1", *QUIET, "--workers", "2"),
        {"--epochs": "9", "--runs": "RUNS", "--data-dir": "DATA", "--device": "cpu"},
    ),
    "retrain-best": (
        (PLAN, *QUIET, "--workers", "2"),
        {"--epochs": "9", "--runs": "RUNS", "--data-dir": "DATA", "--device": "cpu"},
    ),
    "train": (
        ("recipe.json", *QUIET, "--workers", "2"),
        {"--epochs": "3", "--seed": "1", "--dataset": DATASET, "--study": "singles", "--runs": "other", "--data-dir": "DATA"},
    ),
    "submit": (("--check", "submission.csv"), {"--dataset": DATASET, "--data-dir": "DATA"}),
    "data": (("verify", DATASET), {"--data-dir": "DATA"}),
}
REFUSED = ("enqueue", "retrain", "retrain-best", "train")  # also with words that are right


def number(least: int, most: int = 10**18 - 1) -> Callable[[str], bool]:
    return lambda text: re.fullmatch("[0-9]{1,18}", text) is not None and least <= int(text) <= most


def duration(text: str) -> bool:
    try:
        return parse_duration(text) > 0
    except Exception:
        return False


# Of options whose values can be told to be right by themselves.
RIGHT: Mapping[str, Callable[[str], bool]] = {
    "--trials": number(1),
    "--epochs": number(1, 100_000),
    "--seed": number(0),
    "--patience": number(1),
    "--budget": duration,
    "--format": lambda text: text in ("table", "csv", "json", "md"),
    "--mirror": lambda text: text in ("auto", "offline", "online", "off"),
    "--pruner": lambda text: text in ("promote", "median", "percentile", "patient", "asha", "hyperband", "none"),
    "--sampler": lambda text: text in ("tpe", "random"),
    "--report": lambda text: text == "leaderboard",
    "--workers": lambda text: text in ("1", "auto"),
    "--study": lambda text: re.fullmatch("[A-Za-z0-9][A-Za-z0-9._-]{0,63}", text) is not None,
}


@st.composite
def wrong_lines(draw: st.DrawFn) -> tuple[list[str], str, str]:
    """A command line; the option with a generated value, and that value, if only it has changed."""
    command = draw(st.sampled_from(sorted(COMMANDS)))
    fixed, given = COMMANDS[command]
    options = {name: given[name] for name in draw(st.lists(st.sampled_from(sorted(given)), unique=True))}
    options = {
        **{name: value for name, value in given.items() if name in ("--runs", "--data-dir", "--trials", "--dataset")},
        **options,
    }
    line = [command, *fixed, *(word for pair in options.items() for word in pair)]
    odd = draw(words())
    match draw(st.integers(0, 7)):
        case 0 | 1 | 2:
            option = draw(st.sampled_from(sorted(options) or [""]))
            assume((command, option) != ("train", "--runs"))
            if option:
                at = line.index(option)
                line[at : at + 2] = [option, odd] if draw(st.booleans()) and not odd.startswith("-") else [f"{option}={odd}"]
                return line, option, odd
        case 3:
            del line[draw(st.integers(0, len(line) - 1))]
        case 4:
            line.insert(draw(st.integers(0, len(line))), odd)
        case 5:
            line.insert(
                draw(st.integers(1, len(line))),
                draw(st.sampled_from(("--", "-", "--no-such-option", "-z", "--trials", "--help", "--runs="))),
            )
        case 6:
            at = draw(st.integers(0, len(line) - 1))
            line[at] = odd
        case _:
            line.append(draw(st.sampled_from(line)))
    assume(line)  # without any word there is the help
    # What would not be refused otherwise would begin a study, or a folder of runs somewhere else.
    assume(command != "study" or "--dry-run" in line)
    assume(command != "train" or "--runs other" in " ".join(line))
    return line, "", ""


def settled(line: Sequence[str], world: World) -> list[str]:
    places = {"RUNS": str(world.runs), "DATA": str(world.data)}
    return [word.replace("RUNS", places["RUNS"]).replace("DATA", places["DATA"]) for word in line]


@pytest.fixture
def submission(world: World) -> Path:
    """A submission that is right, in the working directory."""
    file = world.folder / "submission.csv"
    file.write_bytes((world.retrain / "submission.csv").read_bytes())
    return file


@amounts(10, 250)
def test_a_wrong_command_line_is_refused_in_one_line(
    examples: int, world: World, submission: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def check(generated: tuple[list[str], str, str]) -> None:
        line, option, value = generated
        typed = settled(line, world)
        result = judged(capsys, world.folder, ANY, *typed)
        if option in RIGHT:
            right = RIGHT[option](value)
            # Pandas and rich are not needed to tell that a value is wrong, nor is the study.
            assert right or result.code == USAGE
            assert (
                right
                or option in result.messages
                or one_line(value)[:60] in result.messages
                or repr(value)[:60] in result.messages
            )
            assert not right or result.code != USAGE or line[0] in REFUSED or option in ("--study", "--format")

    for_all(wrong_lines(), check, examples)


@st.composite
def right_lines(draw: st.DrawFn) -> list[str]:
    """Right words in any order, in any form."""
    command = draw(st.sampled_from([name for name in sorted(COMMANDS) if name not in REFUSED]))
    fixed, given = COMMANDS[command]
    options = [*draw(st.permutations(sorted(given)))]
    needed = {"--runs", "--data-dir", "--dataset", "--trials", "--study"}
    options = [name for name in options if name in needed or draw(st.booleans())]
    pairs = [[f"{name}={given[name]}"] if draw(st.booleans()) else [name, given[name]] for name in options]
    at = draw(st.integers(0, len(pairs)))
    parts = [*pairs[:at], list(fixed), *pairs[at:]]
    first = [fixed[0]] if command == "data" else []  # a group's own command comes first
    return [command, *first, *(word for part in parts for word in (part[len(first) :] if part == list(fixed) else part))]


@amounts(5, 50)
def test_right_words_are_accepted_in_any_order(
    examples: int, world: World, submission: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for_all(right_lines(), lambda line: judged(capsys, world.folder, (0,), *settled(line, world)), examples)

"""Plan files that are wrong somewhere are refused with their name; those that are only written in an unusual way are accepted."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import strategies as st

from orchestrator.sessions.open_study import Request, open_study
from orchestrator.storage.runs import RunsFolder
from orchestrator.storage.study_file import StudyFile, readable
from orchestrator.support.clock import SystemClock
from orchestrator.support.serialization import dumps, from_plain, parse
from tests.generated_inputs.amounts import amounts, for_all
from tests.generated_inputs.conftest import QUIET, World
from tests.generated_inputs.mutations import CONTROLS, NUMBERS, TEXTS, UNTYPABLE, changed_bytes
from tests.generated_inputs.plug_ins import PARTS, PLAN_FILE, plan_file
from tests.generated_inputs.verdict import DATA, MISSING, USAGE, holding, judged

# As a user of Python may get them, by mistake or from a library.
EXPRESSIONS = (
    *(repr(text) for text in (*TEXTS, *CONTROLS, *UNTYPABLE)),
    *(repr(number) for number in NUMBERS if number != 10**400),
    *(
        "10**400",
        "float('nan')",
        "float('inf')",
        "-float('inf')",
        "1j",
        "b'x'",
        "None",
        "...",
        "print",
        "type",
        "info",
        "dataset",
    ),
    *(
        "[]",
        "()",
        "{}",
        "set()",
        "{1, 2}",
        "[[]]",
        "range(3)",
        "object()",
        "lambda: 0",
        "(lambda made: made.append(made) or made)([])",
    ),
    *(
        "__import__('numpy').int64(3)",
        "__import__('numpy').float32(0.5)",
        "__import__('numpy').arange(3)",
        "__import__('decimal').Decimal(3)",
    ),
    *(
        "__import__('torch').tensor(3)",
        "eval('[' * 90 + ']' * 90)",
        "__import__('enum').Enum('E', 'a')('a')",
        "__import__('pathlib').Path('x')",
    ),
    *(
        "1 / 0",
        "undefined",
        "exit(3)",
        "__import__('nowhere')",
        "open('nowhere')",
        "next(iter(()))",
        "[].pop()",
        "int('x')",
        "-" * 200 + "1",
    ),
)
RANGES = (
    *("FloatDistribution(float('nan'), 1.0)", "FloatDistribution(0.0, float('nan'))", "FloatDistribution(0.0, float('inf'))"),
    *(
        "FloatDistribution(-1e308, 1e308)",
        "FloatDistribution(0, 10**400)",
        "FloatDistribution(1.0, 0.0)",
        "FloatDistribution(0.0, 1.0, log=True)",
    ),
    *(
        "FloatDistribution(0.1, 1.0, log='yes')",
        "FloatDistribution(0.1, 1.0, log=None)",
        "FloatDistribution('0', '1')",
        "FloatDistribution(True, True)",
    ),
    *(
        "FloatDistribution(0.0, 1.0, step=0)",
        "FloatDistribution(0.0, 1.0, step=1e-300)",
        "FloatDistribution(0.0, 1.0, step=float('nan'))",
    ),
    *(
        "FloatDistribution(0.0, 1.0, step=float('inf'))",
        "FloatDistribution(0.0, 1.0, step=1e-20)",
        "FloatDistribution(5e-324, 1.0, log=True)",
    ),
    *(
        "IntDistribution(1, 2**63)",
        "IntDistribution(1, 10**30)",
        "IntDistribution(1.5, 2.5)",
        "IntDistribution(3, 1)",
        "IntDistribution(0, 8, log=True)",
    ),
    *(
        "IntDistribution(1, 9, step=0)",
        "IntDistribution(1, 9, step=10**30)",
        "IntDistribution('1', 9)",
        "IntDistribution(-(2**63), 2**63 - 1)",
    ),
    *(
        "CategoricalDistribution([])",
        "CategoricalDistribution(4)",
        "CategoricalDistribution([4, 4])",
        "CategoricalDistribution([4, 4.0])",
    ),
    *(
        "CategoricalDistribution([float('nan')])",
        "CategoricalDistribution([float('inf'), 4])",
        "CategoricalDistribution([object()])",
    ),
    *(
        "CategoricalDistribution([[[]]])",
        "CategoricalDistribution(['\\ud800'])",
        "CategoricalDistribution([None, 4])",
        "CategoricalDistribution(['4'])",
    ),
    *(
        "CategoricalDistribution([10**400])",
        "CategoricalDistribution('48')",
        "CategoricalDistribution({4: 8})",
        "CategoricalDistribution([True, 4])",
    ),
)
OBJECTS = {
    "metric": (
        "Metric(name='number')",
        "Metric(name='extra')",
        "Metric(name=3)",
        "Metric(name='')",
        "Metric(direction='up')",
        "Metric(rule=None)",
    ),
    "split": ("Split(seed='x')", "Split(seed=0.5)", "Split(seed=True)", "Split(train_on='test')", "Split(seed=2**70)"),
    "params": (
        "{'dropout': None}",
        "{'dropout': 10**400}",
        "{'dropout': '\\ud800'}",
        "{3: 4}",
        "{'': 1}",
        "{'marker': 3}",
        "{'dropuot': 0.1}",
    ),
    "baseline": (
        "{'dropout': 9}",
        "{'dropuot': 0.1}",
        "{'dropout': None}",
        "{'dropout': float('nan')}",
        "{3: 4}",
        "{'dropout': object()}",
    ),
}
LINES = (
    *(
        "1 / 0",
        "raise SystemExit(0)",
        "raise SystemExit('bye')",
        "import nowhere",
        "exit()",
        "plan = 3",
        "plan = None",
        "DATASET = None",
    ),
    *(
        "def plan(): return 3",
        "def plan(*words): raise KeyError('x')",
        "class plan: pass",
        "del plan",
        "async def plan(d, i): return 3",
        "yield 3",
    ),
    *(
        "def plan(d, i): yield 3",
        "StudyPlan = dict",
        "x = (",
        "x = '",
        "x = '''",
        "\tx = 3",
        "    x = 3",
        "print('\\ud800')",
        "x = 08",
        "x = é²",
    ),
    *(
        "x = " + "-" * 7000 + "1",
        "x = " + "(" * 300 + ")" * 300,
        "x = " + "[" * 90 + "]" * 90,
        "x = '" + "y" * 5000 + "' + 3",
        "raise RuntimeError",
    ),
    *(
        "raise RuntimeError('a\\nb')",
        "class Odd(Exception):\n    def __str__(self): return 3\nraise Odd",
        "raise RuntimeError('x' * 5000)",
    ),
)

USUAL = st.sampled_from(sorted(PARTS))
part = USUAL.flatmap(
    lambda name: st.tuples(
        st.just(name),
        st.sampled_from((*EXPRESSIONS, *OBJECTS.get(name, ()), *(RANGES if "Distribution" in PARTS[name] else ()))),
    )
)
wrong_parts = st.lists(part, min_size=1, max_size=2).map(
    lambda parts: plan_file(**dict(parts)).encode("utf-8", "backslashreplace")
)


@st.composite
def wrong_texts(draw: st.DrawFn) -> bytes:
    """The file with a line too few or too many, or with other bytes."""
    if draw(st.booleans()):
        return draw(changed_bytes(PLAN_FILE.encode()))
    lines = PLAN_FILE.splitlines()
    at = draw(st.integers(0, len(lines) - 1))
    other = draw(st.sampled_from((*LINES, lines[at])))
    if draw(st.booleans()):
        del lines[at]
    if draw(st.booleans()):
        lines.insert(at, other)
    return "\n".join(lines).encode("utf-8", "backslashreplace")


# The same plan, or another sound one, in other words of Python.
SOUND_PARTS: Mapping[str, tuple[str, ...]] = {
    "epochs": ("1 + 2", "int('3')", "max(info.trial_epochs, 3)", "(3)", "0x3", "0b11", "3 if dataset else 4"),
    "retrain_epochs": ("100_000", "4"),
    "params": ("dict()", "{'dropout': 0}", "{'misbehaviour': ''}", "__import__('types').MappingProxyType({})"),
    "batch_size": (
        "CategoricalDistribution([4, 8])",
        "CategoricalDistribution(list(info.batch_sizes))",
        "IntDistribution(4, 8, step=4)",
    ),
    "learning_rate": (
        "FloatDistribution(low=1e-4, high=1, log=True)",
        "FloatDistribution(0.1, 0.1)",
        "CategoricalDistribution((0.1, 1))",
    ),
    "dropout": ("FloatDistribution(0, .5)", "CategoricalDistribution([0, 0.3, 1e-1])", "FloatDistribution(0.0, 0.55, step=0.1)"),
    "metric": ("Metric(name='val_loss', direction='minimize')", "Metric(rule='last')", "Metric(name='my own figure')"),
    "misfit": ("'it does not fit'", "'a\\nb'"),
    "pruner": ("'none'", "'promote'", "'hyperband'", "'asha'", "'patient'", "'percentile'"),
    "system": ("'x'", "''", "'é'"),
    "seed": ("7", "-7"),
}
SOUND_TEXTS: tuple[Callable[[str], bytes], ...] = (
    lambda text: text.encode(),
    lambda text: text.encode("utf-8-sig"),
    lambda text: text.replace("\n", "\r\n").encode(),
    lambda text: ("# coding: latin-1\n# é\n" + text).encode("latin-1"),
    lambda text: ("#!/usr/bin/env python\n\f\n" + text).encode(),
    lambda text: (text + "\n\n# 中 \u202e").encode(),
    lambda text: text.removesuffix("\n").encode(),
    lambda text: text.replace("    ", "\t").encode(),
    lambda text: (text + "made = plan\nplan = lambda *words, **more: made(*words, **more)\n").encode(),
    lambda text: (text + "from types import SimpleNamespace\nx = '\\ud800'\n").encode(),
)
sound = st.tuples(
    st.dictionaries(st.sampled_from(sorted(SOUND_PARTS)), st.integers(0, 9), max_size=4),
    st.sampled_from(SOUND_TEXTS),
).map(
    lambda found: found[1](plan_file(**{name: SOUND_PARTS[name][at % len(SOUND_PARTS[name])] for name, at in found[0].items()}))
)


def words(world: World, file: Path) -> list[str | Path]:
    options = (
        "--trials",
        "3",
        "--dry-run",
        "--format",
        "json",
        "--runs",
        world.folder / "other",
        "--data-dir",
        world.data,
        *QUIET,
    )
    return ["study", file, *options]


def check_recordable(output: str, file: Path, world: World) -> None:
    """What is printed is JSON without NaN, and what study.json would say can be read again."""
    json.loads(output, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    store = RunsFolder(world.folder / "other")
    opened = open_study(Request(plan=str(file), trials=3), store, world.data, SystemClock(), lambda line: None)
    assert from_plain(StudyFile, readable(parse(dumps(opened.file).encode()))) == opened.file


@pytest.mark.filterwarnings("default")  # a plan's own warnings are no errors, as in a command
@pytest.mark.parametrize("wrong", [wrong_parts, wrong_texts()], ids=["parts", "texts"])
@amounts(8, 60)
def test_a_wrong_plan_file_is_refused_by_name(
    wrong: st.SearchStrategy[bytes], examples: int, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    file = world.folder / "mine.py"

    def check(content: bytes) -> None:
        with holding(file, content):
            # What is asked of a data set that the plan names itself is answered by that data set.
            other = f"DATASET = {PARTS['DATASET']}".encode() not in content or b"return StudyPlan" not in content
            result = judged(
                capsys,
                world.folder,
                (0, USAGE, DATA, *((MISSING,) if other else ())),
                *words(world, file),
                names=() if other else ("mine",),
            )
            if result.code == 0:
                check_recordable(result.output, file, world)

    for_all(wrong, check, examples)


@pytest.mark.filterwarnings("default")
@amounts(4, 30)
def test_a_sound_plan_file_is_accepted_however_it_is_written(
    examples: int, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    file = world.folder / "mine.py"

    def check(content: bytes) -> None:
        with holding(file, content):
            check_recordable(judged(capsys, world.folder, (0,), *words(world, file)).output, file, world)

    for_all(sound, check, examples)

"""`make bench`: what it reads, how it judges, and that it measures real sessions."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.measuring.figures import Claim, Figure, Result, ratio
from benchmarks.measuring.rounds import alternated
from benchmarks.measuring.surroundings import surroundings
from benchmarks.measuring.tables import section
from benchmarks.overhead.notes import gaps, rate
from benchmarks.overhead.sessions import resources, study


def figure(*values: float) -> Figure:
    return Figure(name="study / bare loop", unit="×", values=values)


def noted(folder: Path, worker: int, *lines: tuple[str, int, int]) -> Path:
    notes = folder / f"notes-{worker}.jsonl"
    texts = [json.dumps({"what": what, "began": began, "ended": ended}) for what, began, ended in lines]
    notes.write_text("\n".join(texts) + "\n")
    return notes


MS = 1_000_000  # nanoseconds


def test_idle_is_what_lies_between_two_trials_without_begin(tmp_path: Path) -> None:
    notes = noted(
        tmp_path,
        1,
        ("begin", 0, 5 * MS),
        ("epoch", 6 * MS, 50 * MS),
        ("epoch", 53 * MS, 99 * MS),
        ("begin", 110 * MS, 140 * MS),
        ("epoch", 142 * MS, 180 * MS),
    )
    assert list(gaps(notes)) == [11 + 2]


def test_the_rate_of_several_workers_is_that_of_the_time_in_which_all_of_them_work(tmp_path: Path) -> None:
    noted(tmp_path, 1, ("begin", 0, 500 * MS), ("epoch", 500 * MS, 1500 * MS), ("epoch", 1500 * MS, 2000 * MS))
    noted(tmp_path, 2, ("begin", 0, 1000 * MS), ("epoch", 1000 * MS, 1100 * MS), ("epoch", 1500 * MS, 2500 * MS))
    assert rate(tmp_path) == pytest.approx(0.5 + 1 + 1 + 0.5)  # in the second from 1 s to 2 s
    noted(tmp_path, 3, ("epoch", 3000 * MS, 3500 * MS))
    with pytest.raises(RuntimeError, match="never worked at the same time"):
        rate(tmp_path)


def test_the_median_decides_a_claim() -> None:
    assert Claim(figure=figure(1.0, 1.04, 9.0), must=1.15, aim=1.05).verdict == "met"
    assert Claim(figure=figure(1.0, 1.1, 9.0), must=1.15, aim=1.05).verdict == "met; not the aim"
    missed = Claim(figure=figure(1.0, 1.2, 1.3), must=1.15, aim=1.05)
    assert not missed.holds
    assert missed.verdict == "**missed**"
    assert not Claim(figure=figure(1.6), sense="at least", must=1.7).holds
    assert Claim(figure=figure(1.7), sense="at least", must=1.7).holds
    assert Claim(figure=figure(99.0), must=None).verdict == "for information"
    with pytest.raises(ValueError, match="never measured"):
        figure()


def test_sides_are_compared_round_by_round_in_alternating_order() -> None:
    order: list[str] = []

    def side(name: str, *values: float) -> Callable[[str], float]:
        left = list(values)

        def measure(_: str) -> float:
            order.append(name)
            return left.pop(0)

        return measure

    found = alternated({"one": side("one", 2.0, 30.0), "other": side("other", 1.0, 10.0)}, 2)
    assert order == ["one", "other", "other", "one"]
    assert ratio("one / other", found["one"], found["other"]).values == (2.0, 3.0)


def test_a_missed_must_stands_out_in_the_table() -> None:
    result = Result(
        name="same-work",
        title="Title",
        conditions="4 trials",
        figures=(),
        claims=(Claim(figure=figure(1.0, 1.5, 2.0), must=1.15),),
    )
    assert "| study / bare loop | 3 | 1.5 × | 1 – 2 | 1 – 2 (75%) | ≤ 1.15 |  | **missed** |" in section(result, surroundings())


def test_a_session_that_fails_is_never_a_figure() -> None:
    with resources() as place, pytest.raises(RuntimeError, match=r"exit code 2:\nerror: unknown plan"):
        study(place, "no-such-plan", "name", "--trials", "1")


@pytest.mark.slow
def test_a_quick_run_measures_both_sides_and_keeps_what_it_found(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.overhead", "--quick", "--output", str(tmp_path)]
    for name in ("decisions", "idle"):
        done = subprocess.run([*command, "--only", name], check=False, capture_output=True, timeout=300)
        kept = json.loads((tmp_path / "overhead.json").read_text())
        assert done.returncode == int(not all(claim["holds"] for claim in kept[name]["claims"]))
    assert list(kept) == ["idle", "decisions"]
    figures = {found["name"]: found["median"] for found in kept["decisions"]["figures"]}
    assert 1.0 < figures["conductor"] < figures["plain Optuna on SQLite"]
    (compared,) = kept["decisions"]["claims"]
    assert compared["median"] == pytest.approx(figures["conductor"] / figures["plain Optuna on SQLite"])
    assert len(kept["idle"]["claims"][0]["values"]) == 3  # between 4 trials
    page = (tmp_path / "overhead.md").read_text()
    assert page.index("(`idle`)") < page.index("(`decisions`)")

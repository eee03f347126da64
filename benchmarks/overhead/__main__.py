"""`make bench`, or `python -m benchmarks.overhead [--quick] [--only NAME]`.

Every benchmark is measured by real sessions of `orchestrate` on this machine, which should have nothing else to do. What one run
finds replaces what an earlier one found of the same benchmark, and leaves the others. The exit code is 1 when a must is missed.
"""

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks.measuring.figures import Result
from benchmarks.measuring.keeping import keep
from benchmarks.measuring.surroundings import ROOT
from benchmarks.overhead import decisions, growth, idle, same_work, workers

BENCHMARKS: Mapping[str, Callable[[bool], Result]] = {
    "same-work": same_work.measure,
    "idle": idle.measure,
    "decisions": decisions.measure,
    "workers": workers.measure,
    "growth": growth.measure,
}


def main() -> int:
    """Measure what is asked for, print the tables, and keep them."""
    given = _given()
    names = given.only or BENCHMARKS
    return int(not keep("What orchestration costs", given.output / "overhead.json", BENCHMARKS, names, quick=given.quick))


def _given() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.overhead", description=__doc__)
    parser.add_argument("--only", action="append", choices=sorted(BENCHMARKS), help="this one; may be given several times")
    parser.add_argument(
        "--quick", action="store_true", help="a small part of each, to see that it works: its figures mean little"
    )
    parser.add_argument(
        "--output", type=Path, default=ROOT / "benchmarks" / "results", help="folder for overhead.json and overhead.md"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

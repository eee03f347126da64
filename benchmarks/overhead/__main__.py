"""`make bench`, or `python -m benchmarks.overhead [--quick] [--only NAME]`.

Every benchmark is measured by real sessions of `orchestrate` on this machine, which should have nothing else to do. What one run
finds replaces what an earlier one found of the same benchmark, and leaves the others. The exit code is 1 when a must is missed.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks.overhead import decisions, growth, idle, same_work, workers
from benchmarks.overhead.figures import Result
from benchmarks.overhead.surroundings import ROOT, surroundings
from benchmarks.overhead.tables import page, section
from orchestrator.files import replace

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
    file: Path = given.output / "overhead.json"
    kept = json.loads(file.read_text()) if file.is_file() else {}
    given.output.mkdir(parents=True, exist_ok=True)
    missed = False
    for name in given.only or BENCHMARKS:
        where, started = surroundings(), time.monotonic()
        result = BENCHMARKS[name](given.quick)
        text = section(result, where)
        kept[name] = {**result.plain(), "quick": given.quick, "where": where, "text": text}
        kept = {name: kept[name] for name in BENCHMARKS if name in kept}
        replace(file, (json.dumps(kept, indent=1, ensure_ascii=False) + "\n").encode())
        replace(given.output / "overhead.md", page({name: found["text"] for name, found in kept.items()}).encode())
        print(text, flush=True)
        print(f"{name}: {time.monotonic() - started:.0f} s", file=sys.stderr)
        missed |= not all(claim.holds for claim in result.claims)
    return int(missed)


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

"""Running some benchmarks of a group, and keeping what they found beside what earlier runs found of the others."""

import json
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from benchmarks.measuring.figures import Result
from benchmarks.measuring.surroundings import surroundings
from benchmarks.measuring.tables import page, section
from orchestrator.support.atomic_files import replace


def keep(
    title: str, file: Path, benchmarks: Mapping[str, Callable[[bool], Result]], names: Iterable[str], *, quick: bool
) -> bool:
    """Measure the benchmarks with these names, print their tables, and put them into `file` (JSON) and the page beside it.

    Returns whether every must was met.
    """
    kept = json.loads(file.read_text()) if file.is_file() else {}
    file.parent.mkdir(parents=True, exist_ok=True)
    met = True
    for name in names:
        where, started = surroundings(), time.monotonic()
        result = benchmarks[name](quick)
        text = section(result, where)
        kept[name] = {**result.plain(), "quick": quick, "where": where, "text": text}
        kept = {name: kept[name] for name in benchmarks if name in kept}
        replace(file, (json.dumps(kept, indent=1, ensure_ascii=False) + "\n").encode())
        replace(file.with_suffix(".md"), page(title, {name: found["text"] for name, found in kept.items()}).encode())
        print(text, flush=True)
        print(f"{name}: {time.monotonic() - started:.0f} s", file=sys.stderr)
        met &= all(claim.holds for claim in result.claims)
    return met

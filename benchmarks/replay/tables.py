"""The results as tables in Markdown, and their section in the documentation."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.replay.pruners import NAMES
from benchmarks.replay.results import Figure, Key, Result, ordered

_TITLES = {
    ("taskset", "random"): "Six tasks of TaskSet, configurations drawn at random",
    ("taskset", "tpe"): "Six tasks of TaskSet, TPE in the loop",
    ("cifar100", "random"): "Small CNN on a part of CIFAR-100, two schedules, configurations drawn at random",
}
_BEGIN, _END = "<!-- tables of `make replay` begin -->\n", "<!-- tables of `make replay` end -->\n"


def tables(results: Mapping[Key, Result]) -> str:
    """One table per set of curves and way to choose configurations, then how time shrinks with more workers."""
    parts = []
    for (curves, configurations), title in _TITLES.items():
        keys = [key for key in _sorted(results) if (key.curves, key.configurations) == (curves, configurations)]
        if alone := [key for key in keys if key.workers == 1]:
            parts.append(f"### {title}\n\n{_quality(alone, results)}")
        if any(key.workers > 1 for key in keys):
            parts.append(f"### {title}: more workers\n\n{_times(keys, results)}")
    return "\n".join(parts)


def put(file: Path, text: str) -> None:
    """Replace what stands between the marks in a file of the documentation. Raises ValueError where there are none."""
    before, begin, rest = file.read_text().partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not (begin and end):
        raise ValueError(f"{file} has no marks for the tables")
    file.write_text(f"{before}{begin}\n{text}\n{end}{after}")


def _sorted(results: Mapping[Key, Result]) -> list[Key]:
    return sorted(ordered(results), key=lambda key: NAMES.index(key.pruner) if key.pruner in NAMES else len(NAMES))


def _quality(keys: Sequence[Key], results: Mapping[Key, Result]) -> str:
    lines = [
        "| pruner | epochs saved | winner kept | regret | distance | seeds |",
        "|---|---|---|---|---|---|",
    ]
    for key in keys:
        result = results[key]
        lines.append(
            f"| {key.pruner} | {_interval(result.saved, 1)}x | {_interval(result.kept, 2)} | {_interval(result.regret, 3)} "
            f"| {_interval(result.distance, 3)} | {result.seeds} |"
        )
    return "\n".join(lines) + "\n"


def _times(keys: Sequence[Key], results: Mapping[Key, Result]) -> str:
    workers = sorted({key.workers for key in keys})
    pruners = list(dict.fromkeys(key.pruner for key in keys if key.workers > 1))
    found = {(key.pruner, key.workers): results[key] for key in keys}
    lines = [
        "| pruner | " + " | ".join(f"{count} worker{'s' * (count > 1)}" for count in workers) + " |",
        "|---" * (len(workers) + 1) + "|",
    ]
    for pruner in pruners:
        cells = [_time(found[pruner, count]) if (pruner, count) in found else "" for count in workers]
        lines.append(f"| {pruner} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _time(result: Result) -> str:
    return f"{result.winner_known.mean:.0f} / {result.end.mean:.0f}; {result.saved.mean:.1f}x, {result.regret.mean:.3f}"


def _interval(figure: Figure, digits: int) -> str:
    return f"{figure.mean:.{digits}f} ({figure.low:.{digits}f}-{figure.high:.{digits}f})"

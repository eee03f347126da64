"""The figures as a page."""

from collections.abc import Mapping
from typing import Any

from benchmarks.measuring.figures import Claim, Figure, Result


def page(title: str, sections: Mapping[str, str]) -> str:
    """All benchmarks of a group that were run here, by their names."""
    return f"# {title}\n\n`make bench` writes this page.\n\n" + "\n".join(sections.values())


def section(result: Result, where: Mapping[str, Any]) -> str:
    """One benchmark."""
    versions = ", ".join(f"{name} {version}" for name, version in where["versions"].items())
    changed = " with uncommitted changes" if where["uncommitted_changes"] else ""
    lines = [
        f"## {result.title} (`{result.name}`)",
        "",
        result.conditions,
        "",
        f"{where['processor']}, {where['cores']} cores, {where['memory_gb']} GB, load {where['load_before']} before; {versions}; "
        f"commit {where['commit'][:10]}{changed}.",
        "",
        "| | n | median | lowest – highest | interval of the median | must | aim | |",
        "|---|---|---|---|---|---|---|---|",
        *(_row(figure, "", "", "") for figure in result.figures),
        *(_claim(claim) for claim in result.claims),
        "",
    ]
    return "\n".join(lines)


def _row(figure: Figure, must: str, aim: str, verdict: str) -> str:
    low, high = min(figure.values), max(figure.values)
    spread = f"{_number(low)} – {_number(high)}" if len(figure.values) > 1 else ""
    median = f"{_number(figure.median)} {figure.unit}"
    interval = figure.interval
    certain = f"{_number(interval.low)} – {_number(interval.high)} ({interval.level:.0%})" if interval else ""
    cells = (figure.name, str(len(figure.values)), median, spread, certain, must, aim, verdict)
    return f"| {' | '.join(cells)} |"


def _claim(claim: Claim) -> str:
    sign = "≤" if claim.sense == "at most" else "≥"
    bounds = [f"{sign} {bound:g}" if bound is not None else "" for bound in (claim.must, claim.aim)]
    return _row(claim.figure, bounds[0], bounds[1], claim.verdict)


def _number(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"

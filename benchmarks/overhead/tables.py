"""The figures as a page."""

from collections.abc import Mapping
from typing import Any

from benchmarks.overhead.figures import Claim, Figure, Result


def page(sections: Mapping[str, str]) -> str:
    """All benchmarks that were run here, by their names."""
    return "# What orchestration costs\n\n`make bench` writes this page.\n\n" + "\n".join(sections.values())


def section(result: Result, where: Mapping[str, Any]) -> str:
    """One benchmark."""
    versions = where["versions"]
    changed = " with uncommitted changes" if where["uncommitted_changes"] else ""
    lines = [
        f"## {result.title} (`{result.name}`)",
        "",
        result.conditions,
        "",
        f"{where['processor']}, {where['cores']} cores, {where['memory_gb']} GB, load {where['load_before']} before; Python "
        f"{versions['python']}, "
        f"torch {versions['torch']}, optuna {versions['optuna']}; commit {where['commit'][:10]}{changed}.",
        "",
        "| | n | median | lowest – highest | must | aim | |",
        "|---|---|---|---|---|---|---|",
        *(_row(figure, "", "", "") for figure in result.figures),
        *(_claim(claim) for claim in result.claims),
        "",
    ]
    return "\n".join(lines)


def _row(figure: Figure, must: str, aim: str, verdict: str) -> str:
    low, high = min(figure.values), max(figure.values)
    spread = f"{_number(low)} – {_number(high)}" if len(figure.values) > 1 else ""
    cells = (figure.name, str(len(figure.values)), f"{_number(figure.median)} {figure.unit}", spread, must, aim, verdict)
    return f"| {' | '.join(cells)} |"


def _claim(claim: Claim) -> str:
    sign = "≤" if claim.sense == "at most" else "≥"
    bounds = [f"{sign} {bound:g}" if bound is not None else "" for bound in (claim.must, claim.aim)]
    return _row(claim.figure, bounds[0], bounds[1], claim.verdict)


def _number(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"

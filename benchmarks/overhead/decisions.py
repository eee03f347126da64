"""The processor time of the conductor, beside that of plain Optuna with its SQLite storage."""

from pathlib import Path

from benchmarks.measuring.figures import Claim, Figure, Result, ratio
from benchmarks.measuring.rounds import alternated
from benchmarks.overhead.sessions import Session, resources, script, study

_EPOCHS = 20
_FIRST = 10  # trials whose cost is not counted: they pay for imports


def measure(quick: bool) -> Result:
    """CPU per trial, trials with the same objective value so that none is pruned."""
    trials, rounds = (15, 1) if quick else (110, 3)
    sessions: list[Session] = []
    with resources() as place:

        def conductor(name: str) -> float:
            session = _study(place, name, trials)
            sessions.append(session)
            spent = session.moments[trials - 1].cpu_seconds - session.moments[_FIRST].cpu_seconds
            return spent / (trials - 1 - _FIRST) * 1000

        def plain(name: str) -> float:
            request = {
                "plan": "alike",
                "trials": trials,
                "epochs": _EPOCHS,
                "from": _FIRST,
                "database": str(place / f"{name}.db"),
            }
            return float(script(place, "plain_optuna", request)[1]["cpu_ms"])

        spent = alternated({"conductor": conductor, "plain Optuna on SQLite": plain}, rounds)
    roles = sorted(set().union(*(session.cpu_seconds for session in sessions)))
    others = [
        Figure(
            name=f"{role}, whole process, start included",
            unit="ms CPU/trial",
            values=tuple(session.cpu_seconds.get(role, 0.0) / trials * 1000 for session in sessions),
        )
        for role in roles
    ]
    return Result(
        name="decisions",
        title="The conductor's processor time",
        conditions=f"A trainer that takes no time, 5 hyperparameters, TPE and the median pruner on both sides, {_EPOCHS} "
        "epochs with a decision after each (the conductor's trials have one more epoch, after which there is nothing to "
        f"decide), {trials} trials, of which the first {_FIRST} are not counted. User and system time of the conductor's "
        "process; its worker and its copy in Optuna's database are processes of their own, and are listed.",
        figures=(
            *(Figure(name=name, unit="ms CPU/trial", values=tuple(values)) for name, values in spent.items()),
            *others,
        ),
        claims=(
            Claim(
                figure=ratio("conductor / plain Optuna", spent["conductor"], spent["plain Optuna on SQLite"]), must=0.5, aim=0.25
            ),
        ),
    )


def _study(place: Path, name: str, trials: int) -> Session:
    options = ("--trials", trials, "--pruner", "median", "--workers", 1, "--mirror", "off")
    return study(place, "alike", name, *map(str, options), moments=(_FIRST, trials - 1))

"""How long a worker does nothing for its trials between two of them, and what a process of its own would cost each trial."""

from benchmarks.measuring.figures import Claim, Figure, Result
from benchmarks.measuring.surroundings import ROOT
from benchmarks.overhead.notes import gaps
from benchmarks.overhead.sessions import resources, script, study
from orchestrator.support.environment import cores
from orchestrator.support.serialization import to_plain


def measure(quick: bool) -> Result:
    """Notes inside the trainer say when it works; what lies between a trial's last epoch and the next one's first is counted."""
    trials, processes = (4, 1) if quick else (40, 3)
    with resources() as place:
        options = ("--trials", trials, "--pruner", "none", "--workers", 1, "--mirror", "offline")
        session = study(place, "noted", "noted", *map(str, options))
        (notes,) = place.glob("notes-*.jsonl")
        idle = tuple(gaps(notes))
        request = {
            "recipes": [to_plain(session.trials()[0].recipe)],
            "threads": cores(),
            "epochs": [0],
            "data": str(ROOT / "data"),
        }
        alone = [script(place, "bare_loop", request)[0] for _ in range(processes)]
    late = Figure(name="idle, 95th percentile", unit="ms", values=(sorted(idle)[int(0.95 * len(idle))],))
    return Result(
        name="idle",
        title="A worker's idle time between two trials",
        conditions=f"digits, the trainer cnn, {trials} trials × 3 epochs, one worker, both copies on. From the end of a "
        "trial's last epoch to the beginning of the next one's first, without the trainer's own begin: writing the best "
        "weights and the records, asking, sending. Beside it, what a process per trial pays before its first epoch: "
        "imports, data, begin.",
        figures=(Figure(name="begin of a process per trial", unit="s", values=tuple(alone)),),
        claims=(
            Claim(figure=Figure(name="idle between two trials", unit="ms", values=idle), must=50.0),
            Claim(figure=late, must=None),
        ),
    )

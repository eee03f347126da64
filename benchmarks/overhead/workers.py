"""What a second worker gains on a second core."""

from benchmarks.measuring.figures import Claim, Figure, Result
from benchmarks.measuring.rounds import alternated
from benchmarks.overhead.notes import rate
from benchmarks.overhead.sessions import resources, study


def measure(quick: bool) -> Result:
    """The same trials with one worker and with two, each of which uses one core."""
    trials, rounds = (4, 1) if quick else (12, 3)

    rates = alternated({"one worker": lambda _: _rate(1, trials), "two workers": lambda _: _rate(2, trials)}, rounds)
    gain = tuple(two / one for one, two in zip(rates["one worker"], rates["two workers"], strict=True))
    return Result(
        name="workers",
        title="Two workers beside one",
        conditions=f"digits, the trainer cnn with channels 64, 128, 256 and one thread, {trials} trials × 10 epochs, sampler "
        "random, pruner none, both copies on. Epochs per second while all workers work: without the start and, with two, "
        "without the end, where one has nothing left to do.",
        figures=tuple(Figure(name=name, unit="epochs/s", values=tuple(values)) for name, values in rates.items()),
        claims=(Claim(figure=Figure(name="two workers / one", unit="×", values=gain), sense="at least", must=1.7),),
    )


def _rate(workers: int, trials: int) -> float:
    options = ("--trials", trials, "--sampler", "random", "--pruner", "none", "--workers", workers, "--mirror", "offline")
    with resources() as place:
        study(place, "single_threaded", "trials", *map(str, options))
        return rate(place)

"""What a second worker gains on a second core."""

from pathlib import Path

from benchmarks.overhead.figures import Claim, Figure, Result
from benchmarks.overhead.notes import busy
from benchmarks.overhead.same_work import alternated
from benchmarks.overhead.sessions import study, workplace


def measure(quick: bool) -> Result:
    """The same trials with one worker and with two, each of which uses one core."""
    trials, rounds = (6, 1) if quick else (32, 3)

    def rate(workers: int) -> float:
        with workplace() as place:
            return _rate(place, workers, trials)

    rates = alternated({"one worker": lambda _: rate(1), "two workers": lambda _: rate(2)}, rounds)
    gain = tuple(two / one for one, two in zip(rates["one worker"], rates["two workers"], strict=True))
    return Result(
        name="workers",
        title="Two workers beside one",
        conditions=f"digits, the trainer cnn with one thread, {trials} trials × 3 epochs, sampler random, pruner none, both "
        f"copies on. Epochs per "
        "second from the beginning of the first epoch to the end of the last.",
        figures=tuple(Figure(name=name, unit="epochs/s", values=tuple(values)) for name, values in rates.items()),
        claims=(Claim(figure=Figure(name="two workers / one", unit="×", values=gain), sense="at least", must=1.7),),
    )


def _rate(place: Path, workers: int, trials: int) -> float:
    options = ("--trials", trials, "--sampler", "random", "--pruner", "none", "--workers", workers, "--mirror", "offline")
    study(place, "single_threaded", "trials", *map(str, options))
    epochs, seconds = busy(place)
    return epochs / seconds

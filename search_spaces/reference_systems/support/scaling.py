"""A reference system for another number of epochs than its own: what is counted in epochs keeps its share of the run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Scaled:
    """Params for another number of epochs, and a sentence for everything in them that is another than before."""

    params: Mapping[str, Any]
    sentences: tuple[str, ...] = ()


# Of a phase: in a single one a schedule that moves between epochs would not act.
_FEWEST_EPOCHS = 2


def scaled(params: Mapping[str, Any], *, own: int, epochs: int) -> Scaled:
    """`params`, which are made for `own` epochs, for so many `epochs`.

    Steps of the schedule and phases are rounded to whole epochs; what would never act is left out, because the training loop
    refuses a setting without effect.
    """
    if epochs == own:
        return Scaled(params=params)
    changed, sentences = dict(params), []
    if params.get("phases"):
        phases, sentence = _phases(params["phases"], own, epochs)
        sentences.append(sentence)
        if phases:
            changed["phases"] = phases
        else:
            del changed["phases"]
            changed["learning_rate"] = params["learning_rate"] * params["phases"][-1]["rate"]
    schedule = params["schedule"]
    if isinstance(schedule, Mapping) and schedule["name"] == "step":
        changed["schedule"], sentence = _steps(schedule, own, epochs)
        sentences += [sentence] if sentence else []
    elif epochs == 1 and isinstance(schedule, Mapping) and schedule.get("per") == "epoch":
        changed["schedule"] = "constant"
        sentences.append(f"The {schedule['name']} schedule moves per epoch: in a single one the rate is constant.")
    return Scaled(params=changed, sentences=tuple(sentences))


def _steps(schedule: Mapping[str, Any], own: int, epochs: int) -> tuple[Any, str]:
    """The falls keep their places in the run, to whole epochs."""
    every = schedule["every"]
    before = f"The rate falls {_every(every)} of {own}"
    places = range(every, own, every)
    falls = sorted({place for fall in places if 0 < (place := round(fall * epochs / own)) < epochs})
    if not falls:
        return "constant", f"{before}: in {_counted(epochs)} it never does, so it is constant."
    fewer = f", {len(falls)} times instead of {len(places)}" if len(falls) < len(places) else ""
    if falls != list(range(falls[0], epochs, falls[0])):
        made = {"name": "multi-step", "at": falls, "factor": schedule["factor"]}
        return made, f"{before}: here it falls after {' and '.join(map(str, falls))}{fewer}."
    if falls[0] == every and not fewer:
        return schedule, ""
    return {**schedule, "every": falls[0]}, f"{before}: here it falls {_every(falls[0])}{fewer}."


def _phases(phases: Sequence[Mapping[str, Any]], own: int, epochs: int) -> tuple[list[dict[str, Any]], str]:
    """The phases in `epochs` epochs; none where there are too few for each: then there is only the last."""
    lengths = [phase["epochs"] for phase in phases]
    before = f"The phases of {', '.join(map(str, lengths[:-1]))} and {_counted(lengths[-1])}"
    if epochs < _FEWEST_EPOCHS * len(phases):
        return [], f"{before} do not fit in {_counted(epochs)}: there is only the last one."
    shares = [max(_FEWEST_EPOCHS, round(length * epochs / own)) for length in lengths[:-1]]
    shares.append(epochs - sum(shares))
    made = [{**phase, "epochs": share} for phase, share in zip(phases, shares, strict=True)]
    return made, f"{before} become {', '.join(map(str, shares[:-1]))} and {_counted(shares[-1])}."


def _every(epochs: int) -> str:
    return f"every {epochs} epochs" if epochs > 1 else "after each epoch"


def _counted(epochs: int) -> str:
    return f"{epochs} epoch{'s' if epochs > 1 else ''}"

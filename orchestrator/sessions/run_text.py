"""The text of a run for a person, made from what `orchestrate show --format json` gives."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from orchestrator.record import INTERRUPTED, FailureKind, Kind, Status
from orchestrator.storage.progress import reached
from orchestrator.support.text_plot import MARKED, NOT_FINITE, plot
from orchestrator.support.wording import in_bytes, in_full, moment, several

_WIDTH = 60  # characters to a line, of the plot
_MOST_ROWS = 20  # of the table of epochs, the first, the last and the best one among them
_WIDEST_TABLE = 100  # characters to a line, where it goes to no terminal
_COLUMNS = ("train_loss", "train_acc", "val_loss", "val_acc", "lr", "seconds")
_GAP = "  "
_UNDER_WAY = (Status.RUNNING, INTERRUPTED)
# A retrain and a confirmation have the number of the run that they repeat.
_KINDS = {Kind.TRIAL: "trial", Kind.CONFIRM: "confirmation of run", Kind.RETRAIN: "retrain of run", Kind.SINGLE: "single run"}


def run_text(found: Mapping[str, Any], width: int | None = None) -> str:
    """The lines of `sessions.show.run_details`; `width` is a terminal's number of characters to a line."""
    searched, *others = _blocks(found)
    sections = [list(_head(found)), *_failures(found), searched, _curve(found, width or _WIDEST_TABLE), *others]
    return "\n\n".join("\n".join(section) for section in sections if section)


def _head(found: Mapping[str, Any]) -> Iterator[str]:
    """State and results."""
    best, test = found["best"], found["test"]
    yield f"{found['run']}: {found['state']}, {reached(found['epochs'], found['of_epochs'], best and best['epoch'])}"
    yield f"{_kind(found)}, {_times(found)}"
    yield from _remarks(found)
    if best is not None:
        name, images, error = found["metric"]["name"], found["provenance"]["validation_images"], best["standard_error"]
        sure = f", standard error of val_acc {error:.4f} ({several(images, 'image')})" if error is not None else ""
        beside = f", val_acc {_figure('val_acc', best['val_acc'])}" if name != "val_acc" and best["val_acc"] is not None else ""
        value, loss = _figure(name, best["value"]), _figure("val_loss", best["val_loss"])
        yield f"best {name} {value} after epoch {best['epoch']}{beside}, val_loss {loss}{sure}"
    if test is not None:
        acc, loss = _figure("test_acc", test["acc"]), _figure("test_loss", test["loss"])
        yield f"test_acc {acc}, test_loss {loss} on {several(test['images'], 'image')}"


def _remarks(found: Mapping[str, Any]) -> Iterator[str]:
    """What is special about the run."""
    holder = found["holder"]
    if holder is not None and holder["process"]:
        yield f"trained by process {holder['process']} on {holder['host']} since {holder['since']}"
    if found["state"] == INTERRUPTED:
        yield "no process trains it; the command that began it resumes it"
    if found["state"] == Status.PAUSED:
        yield "suspended by the end of a session; the next one resumes it first" if found["suspended"] else "waits to be resumed"
    if found["reference"] is not None:
        yield f"has the setting of reference system {found['reference']}"
    if found["replicate_of"] is not None:
        yield f"repeats {found['replicate_of']} with another seed"
    if found["enqueued"]:
        yield "its setting was enqueued"
    if found["micro_batch"]:
        yield f"batches pass through the model in parts of {several(found['micro_batch'], 'image')}"
    if found["state"] not in _UNDER_WAY and len(found["curve"]) != found["epochs"]:
        yield f"{several(found['epochs'], 'epoch')} were recorded, and epochs.jsonl holds {len(found['curve'])}"


def _kind(found: Mapping[str, Any]) -> str:
    return f"{_KINDS[found['kind']]} {found['number']} of study {found['study']}"


def _times(found: Mapping[str, Any]) -> str:
    provenance = found["provenance"]
    begun = moment(provenance["started"]) if provenance["started"] else "at an unknown time"
    verb = "paused" if found["state"] == Status.PAUSED else "ended"
    known = provenance["finished"] is not None and found["state"] not in _UNDER_WAY  # a resumed run was paused before
    ended = f", {verb} {moment(provenance['finished'])}" if known else ""
    pace = f", {_figure('seconds', found['seconds'] / found['epochs'])} s an epoch" if _paced(found) else ""
    return f"begun {begun}{ended}, {_figure('seconds', found['seconds'])} s of training{pace}"


def _paced(found: Mapping[str, Any]) -> bool:
    return found["epochs"] > 1 and isinstance(found["seconds"], int | float)


def _failures(found: Mapping[str, Any]) -> Iterator[list[str]]:
    """What it failed of, then what was tried again."""
    if found["failure"] is not None:
        yield [f"failed: {_described(found['failure'])}", *_where(found["failure"], found)]
    if found["setbacks"]:
        lines = [f"tried again after {several(len(found['setbacks']), 'failure')}; attempt {found['attempt']} is the last"]
        for setback in found["setbacks"]:
            lines += [f"  {_described(setback)}", *(f"  {line}" for line in _where(setback, found))]
        yield lines


def _described(failure: Mapping[str, Any]) -> str:
    return f"{failure['kind']}: {failure['message']}"


def _where(failure: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[str]:
    """Where an error arose, and where all of its traceback is."""
    for verb, at in zip(("in", "raised in"), failure["source_lines"], strict=False):
        yield f"  {verb} {at['file']}, line {at['line']}, {at['function']}"
    if failure["source_lines"] and failure["log"] is not None:
        yield f"  traceback: {failure['log']}, below {found['run'].partition('/')[2]}"
    elif failure["source_lines"]:
        yield "  traceback: printed by the command or the machine that trained it"
    elif failure["log"] is not None and failure["kind"] != FailureKind.DIVERGED:
        yield f"  its worker printed to {failure['log']}"


def _curve(found: Mapping[str, Any], width: int) -> list[str]:
    """The metric as a plot, and all that was measured as a table."""
    curve, name, best = found["curve"], found["metric"]["name"], found["best"]
    values = [float(point[name]) for point in curve]
    plotted = plot(values, lambda value: _figure(name, value), marked=best["epoch"] if best is not None else None, width=_WIDTH)
    lost = f", {NOT_FINITE} not finite" if not all(map(math.isfinite, values)) else ""
    title = [f"{name} after each epoch ({MARKED} the best{lost})"] if plotted else []
    return [*title, *plotted, *([""] if plotted else []), *_table(found, width)] if curve else []


def _table(found: Mapping[str, Any], width: int) -> list[str]:
    """A row for each epoch, or for some of many; the metric comes first, and extra values that do not fit are left out."""
    curve, metric, best = found["curve"], found["metric"]["name"], found["best"]
    rows = [curve[index] for index in _some(len(curve), best["epoch"] - 1 if best is not None else 0)]
    further = [name for name in dict.fromkeys(name for point in curve for name in point) if name not in ("epoch", *_COLUMNS)]
    usual = [name for name in _COLUMNS if name != "lr" or any(_is_finite(point["lr"]) for point in curve)]
    columns = [_column("epoch", rows)]
    left_out = []
    for name in sorted([*usual, *further], key=lambda name: name != metric or metric in _COLUMNS):
        column = _column(name, rows)
        fits = sum(len(each[0]) + len(_GAP) for each in [*columns, column]) - len(_GAP) <= width
        if fits or name in (metric, *_COLUMNS):
            columns.append(column)
        else:
            left_out.append(name)
    lines = [_GAP.join(cells).rstrip() for cells in zip(*columns, strict=True)]
    if len(rows) < len(curve):
        lines.append(f"{len(rows)} of {len(curve)} epochs; --format json has all")
    return [*lines, *([f"--format json also has {', '.join(left_out)}"] if left_out else [])]


def _some(count: int, best: int) -> list[int]:
    """The indices of so many epochs that are shown: the first, the last and the best one, and others in equal steps."""
    if count <= _MOST_ROWS:
        return list(range(count))
    steps = {round(step * (count - 1) / (_MOST_ROWS - 2)) for step in range(_MOST_ROWS - 1)}
    return sorted({*steps, max(min(best, count - 1), 0)})


def _column(name: str, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The cells of a column, with a header of two lines, all of one width."""
    above, _, below = name.rpartition("_")
    cells = [above, below, *(_figure(name, row[name]) if name in row else "" for row in rows)]
    width = max(map(len, cells))
    return [f"{cell:>{width}}" for cell in cells]


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _figure(name: str, value: Any) -> str:
    """A figure as a person reads it; what is not finite is a text already."""
    if not isinstance(value, float):
        return str(value)
    if name == "lr":
        return f"{value:.2e}"
    if name == "seconds":
        return f"{value:.1f}"
    return f"{value:.4f}" if abs(value) < 1000 and name.endswith(("acc", "loss")) else f"{value:.4g}"


def _blocks(found: Mapping[str, Any]) -> Iterator[list[str]]:
    recipe, setting = found["recipe"], found["setting"]
    fixed = {name: value for name, value in recipe["params"].items() if name not in setting}
    split = recipe["split"]
    yield _block("setting (searched)", {name: in_full(value) for name, value in setting.items()})
    yield _block(
        "recipe",
        {
            **{name: str(recipe[name]) for name in ("plan", "trainer", "dataset", "epochs", "seed")},
            "split": f"{split['train_on']}, seed {split['seed']}",
            **{name: in_full(value) for name, value in fixed.items()},
        },
    )
    yield _block("provenance", _provenance(found["provenance"]))
    yield _block("files", {each["what"]: _file(each) for each in found["files"]})


def _block(title: str, values: Mapping[str, str]) -> list[str]:
    shown = {name: value for name, value in values.items() if value}
    width = max(map(len, shown), default=0)
    return [title, *(f"  {name:{width}}{_GAP}{value}" for name, value in shown.items())] if shown else []


def _provenance(known: Mapping[str, Any]) -> dict[str, str]:
    dirty = " with uncommitted changes" if known["dirty"] else ""
    return {
        "commit": f"{known['commit']}{dirty}" if known["commit"] else "",
        "host": known["host"],
        "device": known["device"],
        "threads": str(known["threads"] or ""),
        "precision": known["precision"],
        "versions": ", ".join(f"{name} {version}" for name, version in known["versions"].items()),
        "variables": ", ".join(f"{name}={value}" for name, value in known["switches"].items()),
        "data sha256": known["data_digest"],
        "classes sha256": known["classes_digest"],
        "skipped images": str(known["skipped_images"] or ""),
        "study": known["study"],
    }


def _file(each: Mapping[str, Any]) -> str:
    epoch = f", epoch {each['epoch']}" if each["epoch"] is not None else ""
    size = f" ({in_bytes(each['bytes'])}{epoch})" if each["bytes"] is not None else ""
    return f"{each['path']}{size}"

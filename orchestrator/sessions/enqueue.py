"""From what a user types after `orchestrate enqueue` to a setting that waits in the study's folder."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from orchestrator.errors import InvalidInput, UnknownName
from orchestrator.search import spaces
from orchestrator.search.unused_points import Points
from orchestrator.search.written_values import Written, written_by
from orchestrator.storage.commands import resume_command, study_command
from orchestrator.storage.queue import SettingQueue
from orchestrator.storage.status import StudyStatus, study_status
from orchestrator.storage.study_folder import StudyFolder
from orchestrator.support.wording import in_full


def enqueue(folder: StudyFolder, words: Sequence[str], say: Callable[[str], None]) -> None:
    """Let a setting, given as `name=value` words, wait to be tried next. Raises UnknownName, InvalidInput or DiskError."""
    study = folder.read()
    search = study.require_search(f"nothing can be enqueued; train one more with: {study_command(folder, 'train', 'NAME')}")
    before = study_status(folder, study)
    space = spaces.space(search.plan_content["space"])
    written = written_by(search.plan_content["recipe"]["trainer"])
    params = _parsed(words, space, written)
    waiting = SettingQueue(folder)
    _tell_duplicates(params, spaces.points(space, written), before, waiting, say)
    waiting.add(params)
    sampled = [name for name in space if name not in params]
    left = f"; {', '.join(sampled)} will be sampled" if sampled else ""
    say(f"enqueued for {folder.name}: {', '.join(f'{name} {in_full(value)}' for name, value in params.items())}{left}")
    taken = {record.enqueued for record in before.trials}
    waits = sum(name not in taken for name in waiting.names())
    if len(before.trials) + waits > search.trials:
        are = "finished" if before.finished >= search.trials else "begun or enqueued"
        enough = resume_command(folder, search, trials=max(len(before.trials) + waits, search.trials + 1))
        say(f"all {search.trials} trials of the study are {are}; to try this setting, run: {enough}")
    elif before.holder is None:
        say(f"the study is not running; the setting is tried first after: {resume_command(folder, search)}")


def _parsed(words: Sequence[str], space: Mapping[str, Any], written: Written) -> dict[str, Any]:
    params: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals:
            raise InvalidInput(f"{word!r} is not a setting; write name=value, such as {next(iter(space), 'name')}=…")
        if name not in space:
            raise UnknownName("hyperparameter", name, space, "only what the study samples can be enqueued")
        if name in params:
            raise InvalidInput(f"{name} is given twice")
        params[name] = spaces.value(space[name], name, text, written)
    return params


def _tell_duplicates(
    params: Mapping[str, Any], points: Points, before: StudyStatus, waiting: SettingQueue, say: Callable[[str], None]
) -> None:
    """Say whether the setting, as far as it is given, is a known one; it is tried all the same."""
    given = points.located(params)
    if any(_located(points, waiting.params(name)) == given for name in waiting.names()):
        say("note: the same setting is waiting already; it will be trained twice, with different seeds")
    if points.names <= params.keys():
        known = next((record for record in before.trials if _located(points, record.recipe.params) == given), None)
        if known is not None:
            same = f"the setting of {known.run_id} ({before.state(known)})"
            say(f"note: this is {same}; it will be trained again, with another seed")


def _located(points: Points, params: Mapping[str, Any]) -> dict[str, float] | None:
    """Where these values are in the space; None where one is outside it."""
    try:
        return points.located(params)
    except ValueError:
        return None

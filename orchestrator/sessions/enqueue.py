"""From what a user types after `orchestrate enqueue` to a setting that waits in the study's folder."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from orchestrator.errors import InvalidInput, UnknownName
from orchestrator.search import spaces
from orchestrator.storage.queue import SettingQueue
from orchestrator.storage.status import StudyStatus, study_status
from orchestrator.storage.study_folder import StudyFolder


def enqueue(folder: StudyFolder, words: Sequence[str], say: Callable[[str], None]) -> None:
    """Let a setting, given as `name=value` words, wait to be tried next. Raises UnknownName, InvalidInput or DiskError."""
    study = folder.read()
    search = study.require_search("nothing can be enqueued; train one more with: orchestrate train NAME")
    before = study_status(folder, study)
    space = spaces.space(search.plan_content["space"])
    params = _parsed(words, space)
    waiting = SettingQueue(folder)
    _tell_duplicates(params, space, before, waiting, say)
    waiting.add(params)
    sampled = [name for name in space if name not in params]
    left = f"; {', '.join(sampled)} will be sampled" if sampled else ""
    say(f"enqueued for {folder.name}: {', '.join(f'{name} {value}' for name, value in params.items())}{left}")
    taken = {record.enqueued for record in before.trials}
    waits = sum(name not in taken for name in waiting.names())
    if len(before.trials) + waits > search.trials:
        are = "finished" if before.finished >= search.trials else "begun or enqueued"
        say(f"all {search.trials} trials of the study are {are}; give a larger --trials to try this setting")
    elif before.holder is None:
        say(f"the study is not running; the setting is tried first after: orchestrate study {search.plan}")


def _parsed(words: Sequence[str], space: Mapping[str, Any]) -> dict[str, Any]:
    params: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals:
            raise InvalidInput(f"{word!r} is not a setting; write name=value, such as {next(iter(space), 'name')}=…")
        if name not in space:
            raise UnknownName("hyperparameter", name, space, "only what the study samples can be enqueued")
        if name in params:
            raise InvalidInput(f"{name} is given twice")
        params[name] = spaces.value(space[name], name, text)
    return params


def _tell_duplicates(
    params: Mapping[str, Any], space: Mapping[str, Any], before: StudyStatus, waiting: SettingQueue, say: Callable[[str], None]
) -> None:
    """Say whether the setting, as far as it is given, is a known one; it is tried all the same."""
    if any(params == waiting.params(name) for name in waiting.names()):
        say("note: the same setting is waiting already; it will be trained twice, with different seeds")
    if space.keys() <= params.keys():
        coordinates = spaces.points(space).coordinates
        known = next((record for record in before.trials if coordinates(record.recipe.params) == coordinates(params)), None)
        if known is not None:
            same = f"the setting of {known.run_id} ({before.state(known)})"
            say(f"note: this is {same}; it will be trained again, with another seed")

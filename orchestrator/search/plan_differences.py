"""In what two plans differ, as study.json has them; one plan that is written in two ways differs in nothing."""

import json
from collections.abc import Mapping
from typing import Any

from orchestrator.search.written_values import Written, written_as_far_as_known
from orchestrator.support.serialization import shortened, to_plain


def differences(where: str, old: Any, new: Any) -> list[str]:
    """A line for each value below `where` that is not the same in two pieces of plain data."""
    if isinstance(old, dict) and isinstance(new, dict):
        found = []
        for name in sorted({*old, *new}):
            found += differences(f"{where}.{name}".lstrip("."), old.get(name), new.get(name))
        return found
    return [] if old == new else [f"{where}: {shortened(json.dumps(old))} -> {shortened(json.dumps(new))}"]


def written_otherwise(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether two contents of a plan differ, and only in how they write the same values: "cosine" and {"name": "cosine"}.

    A value that one leaves out is not the same as its default, which a later version may change.
    """
    old, new = to_plain(old), to_plain(new)
    try:
        if not differences("", old, new) or old["recipe"]["trainer"] != new["recipe"]["trainer"]:
            return False
        written = written_as_far_as_known(old["recipe"]["trainer"])
        return not differences("", _compared(old, written), _compared(new, written))
    except (LookupError, TypeError, AttributeError):  # what was read is no plan: the differences are told as they are
        return False


def _compared(content: Mapping[str, Any], written: Written) -> dict[str, Any]:
    """The content with one text for each value of a hyperparameter, in whatever way it is written."""

    def texts(params: Mapping[str, Any]) -> dict[str, str]:
        return {name: written(name, value) for name, value in params.items()}

    space = {}
    for name, distribution in content["space"].items():
        attributes = dict(distribution["attributes"])
        if "choices" in attributes:
            attributes["choices"] = [written(name, choice) for choice in attributes["choices"]]
        space[name] = {**distribution, "attributes": attributes}
    return {
        **content,
        "recipe": {**content["recipe"], "params": texts(content["recipe"]["params"])},
        "space": space,
        "baselines": {system: texts(params) for system, params in content["baselines"].items()},
    }

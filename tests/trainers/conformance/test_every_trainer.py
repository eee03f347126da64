"""Every trainer that ships is tried, in a file of its own: test processes take file after file."""

import importlib
import inspect
import pkgutil

from orchestrator import plugins
from orchestrator.testing.trainer import TrainerConformance
from tests.helpers.paths import ROOT
from tests.trainers import conformance


def test_every_trainer_that_ships_is_tested_here() -> None:
    tested = set()
    for module in pkgutil.iter_modules(conformance.__path__, f"{conformance.__name__}."):
        for _, suite in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            if issubclass(suite, TrainerConformance) and suite is not TrainerConformance:
                tested.add(suite.trainer)
    own = {module.name for module in pkgutil.iter_modules([str(ROOT / "trainers")]) if not module.ispkg}
    assert tested == own <= set(plugins.names("trainer"))

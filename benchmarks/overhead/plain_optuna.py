"""Plain Optuna on SQLite, as its documentation shows it: ask, report, decide, tell; nothing is trained.

Reads from standard input {"plan": name, "trials": N, "epochs": N, "from": N, "database": file}; writes the CPU milliseconds (user
and system) of a trial, the mean over those after the first `from`.
"""

import json
import math
import sys
import time
from pathlib import Path

import optuna

from orchestrator import plugins


def main() -> None:
    """Run a study whose trials have the same objective value, so that none is pruned."""
    request = json.load(sys.stdin)
    _, dataset, make = plugins.plan(request["plan"])
    plan = make(dataset, plugins.dataset(dataset).info(Path("data")))
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        storage=f"sqlite:///{request['database']}",
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=0),
        pruner=optuna.pruners.MedianPruner(5, 2),
    )
    began = 0.0
    for number in range(request["trials"]):
        if number == request["from"]:
            began = time.process_time()
        trial = study.ask(dict(plan.space))
        value = 0.0
        for epoch in range(1, request["epochs"] + 1):
            value = 0.9 * (1 - math.exp(-epoch / 5))
            trial.report(value, epoch)
            if trial.should_prune():
                raise AssertionError("a trial with the objective value of all others was pruned")
        study.tell(trial, value)
    print(json.dumps({"cpu_ms": (time.process_time() - began) / (request["trials"] - request["from"]) * 1000}))


if __name__ == "__main__":
    main()

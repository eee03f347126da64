"""`python -m orchestrator.cli` is the command `orchestrate`."""

from orchestrator.cli import main

main()

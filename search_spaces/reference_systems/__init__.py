"""The fifteen systems of five public reports on the challenge, one file per part; `orchestrator.plugins` finds them.

A file below the working directory adds systems of its own: it defines `SYSTEMS`, a sequence of `contracts.ReferenceSystem`.
"""

"""Judges pruners by replaying recorded learning curves through the real conductor, study, schedulers and dispatch.

Replaced are only the clock, the workers (they serve recorded epochs in simulated time) and the disk (memory): `make replay`.
"""

"""Optuna's part in a study: search spaces, samplers, pruners, and the study that asks them."""

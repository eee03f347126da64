"""How fast the shared training loop is, beside the loop of the reference systems' reports, and that it learns no less.

`make bench`, or `python -m benchmarks.training [--quick] [--only NAME] [--device cuda]`.
"""

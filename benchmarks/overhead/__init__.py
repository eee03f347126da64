"""What orchestration costs, beside what it is compared with: both sides in one run, their order alternated.

`make bench`, or `python -m benchmarks.overhead [--quick] [--only NAME]`.
"""

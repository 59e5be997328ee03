"""What an event costs, measured: ``python -m tests.benchmarks``, or ``make bench``."""

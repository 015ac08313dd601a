"""Speed, printed as ratios of things measured in one run; ``python -m benchmarks.NAME``."""

"""Machinery of all benchmarks: contestants, processes, timing and tables."""

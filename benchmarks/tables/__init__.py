"""`python -m benchmarks tables`: what `steps` has measured, as the tables of docs/speed.md."""

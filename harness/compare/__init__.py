"""`harness compare`: the same training in several backends, side by side."""

"""The command `diff`: whether two trained networks compute the same, and if not, what was done."""

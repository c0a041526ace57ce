"""Reference numbers: those of other projects, which ours must repeat, and those that we write."""

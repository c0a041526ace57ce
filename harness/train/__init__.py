"""The command that has no name of its own: one run, or a sweep with `-m`."""

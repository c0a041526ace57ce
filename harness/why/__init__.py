"""The command `why`: which settings make two trainings of the same network end differently."""

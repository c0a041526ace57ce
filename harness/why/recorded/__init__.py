"""Why two recorded trainings of the user's own programs went differently."""

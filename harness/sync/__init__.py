"""The command `sync`: send to MLflow whatever it lacks of recorded runs."""

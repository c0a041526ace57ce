"""The command `doctor`: find what is wrong with recorded runs and with MLflow, and mend it."""

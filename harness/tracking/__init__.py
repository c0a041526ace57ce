"""The record of a run: its journal first, then MLflow. Only this package imports MLflow."""

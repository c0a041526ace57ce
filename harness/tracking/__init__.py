"""Where the numbers of a run go: its journal first, then MLflow. MLflow is imported here alone."""

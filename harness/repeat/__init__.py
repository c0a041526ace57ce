"""The command `repeat`: a recorded training becomes an experiment that every backend repeats."""

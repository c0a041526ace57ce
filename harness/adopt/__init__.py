"""The command `adopt`: a trained network from another program's file becomes a run."""

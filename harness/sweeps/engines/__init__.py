"""What carries work units out in other processes: a pool on this machine, Ray, Slurm."""

"""The command `parity`: whether backends compute the same, and if not, where they first differ."""

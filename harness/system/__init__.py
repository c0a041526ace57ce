"""What the operating system and its environment decide: signals, processes, variables."""

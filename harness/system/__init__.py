"""The operating system: signals, worker processes, files, memory, devices and their variables."""

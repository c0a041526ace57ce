"""The terminal: arguments of a command line, printed commands, tables and progress."""

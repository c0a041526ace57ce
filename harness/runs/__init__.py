"""One run, from a checked configuration to a folder with all its files."""

"""What is typed and printed: words of a command line, tables, progress."""

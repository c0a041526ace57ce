"""Between the program and the terminal."""

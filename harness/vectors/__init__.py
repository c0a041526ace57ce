"""Reference vectors: numbers that any implementation of a recurrent layer must repeat."""

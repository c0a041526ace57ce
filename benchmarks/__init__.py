"""How fast the harness trains, against the same training as a user of each framework writes it."""

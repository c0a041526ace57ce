"""The training as a user of each framework writes it, with that framework's own defaults."""

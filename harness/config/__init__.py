"""What a user can set: its schema, its composition by Hydra, and what is said of mistakes in it."""

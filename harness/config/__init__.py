"""The configuration: its schema, its composition by Hydra, and the messages for mistakes in it."""

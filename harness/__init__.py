"""Train the same recurrent network in several frameworks under stated numeric rules."""

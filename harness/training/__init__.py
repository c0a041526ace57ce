"""Training: the data as a network gets them, and what is done with them."""

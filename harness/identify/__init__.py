"""Which numeric rules a recorded training of another program followed."""

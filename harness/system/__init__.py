"""What the harness needs of the operating system."""

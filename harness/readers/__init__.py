"""Trained networks in files of other programs, read as data: a folder for each kind of file."""

"""The command `export`: write a trained network so that a framework loads it by itself."""

"""Figures, and the style that HTML reports share."""

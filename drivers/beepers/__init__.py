"""Beepers: a sound for whoever does not look at a screen."""

"""Slips as pictures and pages: pure functions from the one layout that the printers use too."""

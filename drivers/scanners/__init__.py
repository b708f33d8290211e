"""Barcode scanners: framing as a pure function, and the threads that read real ports."""

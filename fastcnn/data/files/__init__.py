"""Data sets in one file."""

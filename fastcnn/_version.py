"""The version, which packaging, saved models and the command line tell."""

__version__ = "0.1.0"

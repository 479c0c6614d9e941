"""The compiled part of the data room (Cython, no OpenMP; the GIL is released while it works)."""

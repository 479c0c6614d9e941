"""The compiled part of fastcnn.data (Cython, no OpenMP; it releases the GIL while it works)."""

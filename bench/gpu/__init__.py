"""The parts of bench/gpu.py, a noun a file."""

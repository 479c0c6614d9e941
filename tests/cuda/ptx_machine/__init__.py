"""A small machine that executes the PTX of compiled kernels on NumPy arrays.

What the compiler makes of a kernel can be tested on it without a GPU: inline PTX, vector accesses
and their alignment, index arithmetic, barriers in divergent code, tensor cores, copies that arrive
late. The machine is stricter than a GPU: addresses outside an array or not aligned, shared memory
that nobody has written, two threads at one address without a barrier between them, a barrier that
not every thread reaches are errors in words.

NVIDIA, PTX ISA (Parallel Thread Execution); it knows the instructions that the kernels use.
"""

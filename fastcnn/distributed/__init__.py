"""Several processes, called ranks, that train one model together: MPI by mpi4py."""

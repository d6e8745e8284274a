"""What outlives a process: whole files, checkpoints, cached results, and what tells two computations apart."""

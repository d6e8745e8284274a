"""One function at every point of a grid, in many processes or on a cluster."""

"""Sweeps: one function at every point of a grid, in this process, in many, or on a cluster.

`sweep` holds the grid, the table and the choice of a folder for the finished cells, `cells` their files, and `workers`
the calls in other processes.
"""

from mvtheory.sweeps.sweep import Sweep

__all__ = ["Sweep"]

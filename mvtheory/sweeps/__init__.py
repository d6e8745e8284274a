"""Sweeps: one function at every point of a grid, in this process, in many, or on a cluster."""

from mvtheory.sweeps.sweep import Sweep

__all__ = ["Sweep"]

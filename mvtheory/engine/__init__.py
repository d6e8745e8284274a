"""How outputs and gradients are computed: by torch, or by compiled code; :func:`backend` chooses."""

from mvtheory.engine.choice import backend

__all__ = ["backend"]

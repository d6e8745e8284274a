"""How outputs and gradients are computed: by torch, or by compiled code; :func:`backend` chooses.

The compiled code is in `tiles` (products of inputs and weights, with the activation between them) and in `loops` (what
is done elementwise). Each holds the formula of the smoothed ReLU, as :class:`mvtheory.model.SReLU` does. `compiled`,
`elementwise` and `sparse` call this code, or torch in its place; `choice` decides which, and `jit` loads it. `updates`
has the rows of a step, and what it does with their gradient.
"""

from mvtheory.engine.choice import backend

__all__ = ["backend"]

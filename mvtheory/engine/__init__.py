"""How one training step is computed: by torch, or by compiled code."""

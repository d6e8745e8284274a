"""Nets and data without noise, as products with the views: the same path at a fraction of the cost."""

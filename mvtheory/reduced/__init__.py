"""Nets and data without noise, in the coordinates of the views: the same training path at a fraction of the cost."""

"""Bagging and boosting, and the decompositions and bounds that explain them."""

"""Data for which the theory predicts another result: no views, or overlapping views."""

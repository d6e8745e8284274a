"""Data on which the theory predicts something else: no views, or views that overlap."""

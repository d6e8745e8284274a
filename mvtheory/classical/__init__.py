"""Bagging and boosting, and the accounts that explain them."""

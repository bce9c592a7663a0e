"""Compiled loops over arrays. They know arrays and numbers, nothing of the rest of the package."""

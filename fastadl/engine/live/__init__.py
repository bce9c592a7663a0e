"""A book that changes while it is marked: fills, and the head room they need."""

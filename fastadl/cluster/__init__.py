"""Processes of one's own, and Ray clusters that they use."""

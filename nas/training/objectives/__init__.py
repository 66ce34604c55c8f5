"""Objectives that a user's own function computes for each candidate."""

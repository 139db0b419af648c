"""The trials of scripts/torture.py: each injects one fault, and raises AssertionError if the goal is missed."""

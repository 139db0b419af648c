"""The trials of scripts/torture.py: each injects one fault, and raises AssertionError where the goal is not met."""

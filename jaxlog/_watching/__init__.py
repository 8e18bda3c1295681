"""Follows runs that other processes write: each look reads only what is new."""

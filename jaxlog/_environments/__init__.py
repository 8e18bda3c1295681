"""Draws recorded states with what libraries of environments bring for it."""

"""Runs in object stores: mirrored while they train, resumed elsewhere, and copied for readers."""

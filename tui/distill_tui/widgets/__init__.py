"""Widgets: each shows one thing, takes reactives in and sends messages out."""

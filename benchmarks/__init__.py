"""Measurements that print ratios and spreads; nothing here is a test."""

"""Readers of questions: the official release, public data sets, a user's table, the embedded sample."""

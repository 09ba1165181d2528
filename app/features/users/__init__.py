"""Accounts: made, read, changed, deleted."""

"""Understudy: one person's face onto another person's performance, with consent. Start at `stages`."""

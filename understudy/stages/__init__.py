"""The commands: each a generator of events, with the parts of its work beside it."""

"""Two people who do not exist, with known landmarks, for the demo and the tests."""

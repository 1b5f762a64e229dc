"""Intervals, paired differences and resolution: pure functions on arrays, each with its source."""

"""Recommended settings in the formats that applications load; one file a format, listed in `registry`."""

"""The formats in which providers are spoken to, one a file; `routes` says which path speaks which."""

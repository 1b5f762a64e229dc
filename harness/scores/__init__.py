"""Judge one answer, and add up many judgements: pure functions, no model, no network, no disk."""

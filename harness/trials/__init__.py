"""Many settings: evaluate one, race several, search with Optuna, resume."""

"""Choose, compare and explain, from evidence alone: no network, no database, no Optuna."""

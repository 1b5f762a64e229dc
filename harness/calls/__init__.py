"""Everything that spends: providers, limits, retries, budget, and the engine. It cannot read a spec."""

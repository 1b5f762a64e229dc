"""What users of an evaluation tool test with: a simulator of known truth, a clock, builders, contracts."""

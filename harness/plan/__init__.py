"""Everything before money is spent: the spec, the rows, the space, and the plan made of them."""

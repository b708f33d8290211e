"""What is wrong with this lane and what to do about it: checks in the order in which things depend on each other."""

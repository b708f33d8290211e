"""A town of customers who never lived: accounts with limits, stores, and where each of them shopped before."""

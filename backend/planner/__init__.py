"""The planner: how much of an account's credit to lease to which lane. PLANNING.md tells how it decides."""

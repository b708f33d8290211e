"""The conformance suite: what any backend gets wrong, seen from a lane.

The one rule: it knows the written protocol and `agent.core`, nothing of the backend that it looks at.
"""

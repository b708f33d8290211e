"""Stand-ins that speak the wire protocols of real devices: for the demo, training counters and tests."""

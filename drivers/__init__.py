"""Devices under UnifiedPOS names: printers, scanners, transports, stand-ins. Imports neither agent nor backend."""

"""Parley: self-hosted, realtime, full-duplex voice chat."""

__version__ = "0.1.0"

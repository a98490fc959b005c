"""A slow leak, soaked for long."""

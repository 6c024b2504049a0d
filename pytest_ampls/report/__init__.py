"""A run in, text out; nothing here knows pytest."""

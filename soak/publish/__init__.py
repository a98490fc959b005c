"""The verdict for systems; one file a system."""

"""The verdict for people; one file a view."""

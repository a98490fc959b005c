"""What runs inside a Python target; standard library only."""

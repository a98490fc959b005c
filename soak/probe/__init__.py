"""Senses: what a process tree and its host look like from outside."""

"""YAML to Scenario, with errors that name file, line, column and key."""

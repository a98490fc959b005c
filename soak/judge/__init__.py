"""Windows to verdict; pure: no clock, no files, no network."""

"""The front door: parses, calls, prints. One file per command; the rooms are imported inside the commands."""

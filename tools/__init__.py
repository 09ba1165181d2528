"""What make and CI use; not part of the installed project."""

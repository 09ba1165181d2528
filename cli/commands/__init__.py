"""One command per file; nothing heavy is imported before the command runs."""

"""The `closecast` command: thin, it calls the packages below it."""

"""The steps of `closecast demo`, each in its own module."""

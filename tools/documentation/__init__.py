"""The site that is made of docs/: what mkdocs does not do by itself."""

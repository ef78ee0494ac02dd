"""Commands for maintainers of the course; no part of the installed package."""

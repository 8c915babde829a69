"""``python -m collidekit`` is the command ``collidekit``."""

from collidekit.cli import main

main()

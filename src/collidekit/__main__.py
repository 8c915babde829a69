"""Entry point of ``python -m collidekit``, which is the command ``collidekit``."""

from collidekit.cli import main

main()

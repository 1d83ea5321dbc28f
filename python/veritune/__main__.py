"""``python -m veritune``."""

from veritune.cli import main

main()

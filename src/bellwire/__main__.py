"""`python -m bellwire` is `bellwire`."""

from bellwire.cli.entry import main

main()

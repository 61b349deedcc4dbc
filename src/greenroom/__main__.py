"""`python -m greenroom` is the program `greenroom`."""

from greenroom.cli import main

main(prog_name="greenroom")

from pcsnet.cli import main

main()

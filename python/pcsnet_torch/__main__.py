from pcsnet_torch.cli import main

main()

"""What PyTorch trains: tables whose rows are shared as an assignment says. Needs the extra `train`."""

"""Networks, losses and optimizers in PyTorch. No file is opened here."""

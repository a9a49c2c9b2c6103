"""Work spread over threads, processes and machines."""

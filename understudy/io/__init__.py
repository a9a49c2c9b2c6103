"""Files, codecs, processes and the network. Nothing else touches them."""

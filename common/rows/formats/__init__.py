"""Files as programs write them, each to its last byte or refused. Run by both parties; knows nothing of what columns mean."""

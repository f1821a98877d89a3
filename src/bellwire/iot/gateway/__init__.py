"""Messages from the cloud to its devices: queued on disk, brought over in order, recorded."""

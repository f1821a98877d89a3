"""Where random bytes come from: the operating system, or a device that is tested as it is read."""

"""What was said, from one device of a person to another, in a sealed file."""

"""The terminal program of `bellwire chat`: a window on a messenger, for keys alone and 80×24."""

"""Time tags: what a site's detectors registered and when, as files (spec/time-tags.md)."""

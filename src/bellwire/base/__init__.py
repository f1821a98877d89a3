"""What every layer shares: errors, bits, detections, secrets, frames. Imports nothing of ours."""

"""The two ends that use keys: a device that sends readings, a cloud that receives them."""

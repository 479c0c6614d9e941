"""The lab: convolution strategies validated, timed and compared on named problems."""

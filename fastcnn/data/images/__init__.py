"""Files into pictures, within bounds of memory."""

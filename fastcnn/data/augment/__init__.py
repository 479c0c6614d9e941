"""What changes images at random, image by image, and what is always done to them."""

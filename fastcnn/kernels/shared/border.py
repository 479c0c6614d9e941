"""What stands around an image that is extended with its own pixels, along one axis."""


def repeated(at, size, reflected):
    """Return the pixel of an axis that stands at a place, which may lie outside: the nearest one,
    or, where `reflected`, the one that a mirror at the outermost pixel shows."""
    if reflected:
        at = abs(at)
        return at if at < size else 2 * (size - 1) - at
    return min(max(at, 0), size - 1)

"""Names that systems put among pictures, and what is hidden."""

from __future__ import annotations

SYSTEM = {
    *("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"),
    *("@eadir", "#recycle", "#snapshot", "@recycle", "@recently-snapshot"),
    *("__macosx", "network trash folder", "temporary items"),
    *("$recycle.bin", "recycler", "system volume information", "lost+found", "__pycache__"),
}
"""What systems put among pictures: files, folders of disk stations, archives and disks, in lower
case; besides what begins with a dot."""


def is_hidden(name: str) -> bool:
    """Return whether a file or folder is hidden or a system's own.

    Args:
        name: Its name, without its folder.
    """
    return name[0] == "." or name.lower() in SYSTEM

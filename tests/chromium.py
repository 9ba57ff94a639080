"""Which Chromium the browser tests drive."""

import functools
import os
import shutil
from pathlib import Path

NO_CHROMIUM = "no Chromium on this machine: install one (`apt-get install chromium`) or name it in CHROMIUM"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MACOS = (
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
LAUNCH_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@functools.cache
def find_chromium() -> str | None:
    """Path of a Chromium: CHROMIUM, the system's, or the one `playwright install chromium` brought; None without any."""
    named = [os.environ.get("CHROMIUM", "")]
    system = [shutil.which(name) or "" for name in NAMES]
    caches = [Path.home() / ".cache" / "ms-playwright", Path.home() / "Library" / "Caches" / "ms-playwright"]
    own = [str(path) for cache in caches for path in sorted(cache.glob("chromium-*/chrome-*/chrome"), reverse=True)]
    for path in [*named, *system, *MACOS, *own]:
        if path and os.access(path, os.X_OK):
            return path
    return None


if __name__ == "__main__":
    print(find_chromium() or "")

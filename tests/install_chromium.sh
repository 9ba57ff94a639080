#!/usr/bin/env bash
# Brings a Chromium for the browser tests: by apt where we may, else by Playwright. Never fails: the tests say it loudly.
set -u
python="$1"
if command -v apt-get >/dev/null; then
  as_root=""
  [ "$(id -u)" -eq 0 ] || as_root="sudo -n"
  if [ -z "$as_root" ] || sudo -n true 2>/dev/null; then
    echo "Installing Chromium for the browser tests (once) …"
    export DEBIAN_FRONTEND=noninteractive
    { $as_root apt-get install -y --no-install-recommends chromium ||
      { $as_root apt-get update && $as_root apt-get install -y --no-install-recommends chromium; }; } >/dev/null 2>&1
  fi
fi
[ -n "$("$python" tests/chromium.py)" ] && exit 0
echo "Fetching Chromium through Playwright (once) …"
"$python" -m playwright install chromium >/dev/null 2>&1
[ -n "$("$python" tests/chromium.py)" ] && exit 0
cat <<'NOTICE'
!!! No Chromium here, and none could be installed: the browser tests will be SKIPPED.
!!! Install one (as root: apt-get install chromium) or name it in CHROMIUM, and run again.
NOTICE
exit 0

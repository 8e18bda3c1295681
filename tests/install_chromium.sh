#!/bin/sh
# Chromium, for the tests that open pages. Where it may not be installed these tests are skipped:
# that is said, and no error.
command -v chromium >/dev/null 2>&1 && exit 0
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "There is no Chromium, and no right to install it: the tests that open pages are skipped."
    echo "To run them, install it: apt-get install --no-install-recommends chromium"
    exit 0
fi
echo "Installing Chromium for the tests that open pages; this takes a minute."
log=$(mktemp)
export DEBIAN_FRONTEND=noninteractive
if ! { apt-get -q update &&
    apt-get -q -y -o DPkg::Lock::Timeout=120 install --no-install-recommends chromium; } >"$log" 2>&1; then
    tail -n 5 "$log"
    echo "Chromium cannot be installed: the tests that open pages are skipped."
fi
rm -f "$log"

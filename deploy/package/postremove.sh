#!/bin/sh
# Runs after the package is removed. The user stays: files may belong to it.
set -e

if [ -z "$DPKG_ROOT" ] && [ -d /run/systemd/system ]; then
	systemctl daemon-reload
fi

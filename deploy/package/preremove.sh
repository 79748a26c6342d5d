#!/bin/sh
# Runs before the package is removed ("remove" of dpkg, 0 of rpm), and before an upgrade, which stops nothing.
set -e

case "$1" in
remove | 0)
	if [ -z "$DPKG_ROOT" ] && [ -d /run/systemd/system ]; then
		systemctl disable --now sallyport.service
	fi
	;;
esac

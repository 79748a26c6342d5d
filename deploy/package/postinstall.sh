#!/bin/sh
# Runs after the package is installed or upgraded. $DPKG_ROOT is empty unless dpkg installs into another root.
set -e

config=$DPKG_ROOT/etc/sallyport
if [ -n "$DPKG_ROOT" ]; then
	systemd-sysusers --root="$DPKG_ROOT" sallyport.conf
elif command -v systemd-sysusers >/dev/null; then
	systemd-sysusers sallyport.conf
elif ! getent passwd sallyport >/dev/null; then
	useradd --system --user-group --home-dir /var/lib/sallyport --no-create-home --shell /usr/sbin/nologin sallyport
fi
# The group by its number: the user is that of the root into which the package is installed.
group=$(sed -n 's/^sallyport:[^:]*:\([0-9]*\):.*/\1/p' "$DPKG_ROOT/etc/group")
[ -z "$group" ] || chgrp "$group" "$config" "$config/sallyport.yaml"

if [ -z "$DPKG_ROOT" ] && [ -d /run/systemd/system ]; then
	systemctl daemon-reload
	systemctl try-restart sallyport.service # after an upgrade; a new installation is started by the operator
fi

#!/usr/bin/env bash
# Builds the container image of a release for linux/amd64 and linux/arm64 as a manifest list, in Docker's format: OCI's has no HEALTHCHECK.
# An image from scratch runs nothing while it is built, so that no emulator is needed. The same release, CA certificates and buildah give
# the same images.
#
#   image.sh FOLDER NAME:TAG     FOLDER has the archives of make release
set -euo pipefail

die() {
	echo "image.sh: $*" >&2
	exit 1
}

[ $# = 2 ] || die "expected FOLDER NAME:TAG"
folder=$1 name=$2 authorities=/etc/ssl/certs/ca-certificates.crt
containerfile=$(dirname "$0")/../../deploy/Containerfile
[ -f $authorities ] || die "$authorities is missing: apt-get install ca-certificates"
context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT

install -m 644 $authorities "$context/ca-certificates.crt"
for arch in amd64 arm64; do
	archive=("$folder"/sallyport_*_linux_$arch.tar.gz)
	[ -f "${archive[0]}" ] || die "$folder has no archive for linux/$arch: run make release"
	top=$(basename "${archive[0]}" .tar.gz)
	tar -xzf "${archive[0]}" -O "$top/sallyport" >"$context/sallyport_$arch"
	chmod 755 "$context/sallyport_$arch"
done
version=$(basename "${archive[0]}" _linux_arm64.tar.gz)
version=${version#sallyport_}
# The time of all files of the archive is that of the commit.
tar -xzf "${archive[0]}" -C "$context" --strip-components=1 "$top/LICENSE"
epoch=$(stat -c %Y "$context/LICENSE")

buildah manifest rm "$name" >/dev/null 2>&1 || true
for arch in amd64 arm64; do
	buildah bud --quiet --format docker --isolation chroot --platform linux/$arch --timestamp "$epoch" --manifest "$name" \
		--label org.opencontainers.image.title=sallyport \
		--label org.opencontainers.image.description="OpenID Connect reverse proxy" \
		--label org.opencontainers.image.licenses=Apache-2.0 \
		--label org.opencontainers.image.version="$version" \
		--label org.opencontainers.image.created="$(date -u -d "@$epoch" +%Y-%m-%dT%H:%M:%SZ)" \
		-f "$containerfile" "$context" >/dev/null
done
echo "$name: linux/amd64, linux/arm64, version $version"

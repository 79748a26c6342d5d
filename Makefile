# make demo   the main job with nothing else installed: a page to click through
# make test   everything: unit tests, scenarios, race detector, a minute of fuzzing, real Keycloak, oidc-provider, Redis, Chromium, nginx, Caddy, HAProxy, Envoy

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
COMMIT  ?= $(shell git rev-parse --short HEAD 2>/dev/null || echo unknown)
DATE    ?= $(shell git log -1 --format=%cs 2>/dev/null)
LDFLAGS := -s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT) -X main.date=$(DATE)
GO      ?= go

FUZZTIME ?= 4s

.PHONY: demo test unit fuzz soak e2e parts bench footprint lint build packages release release-check image clean

demo: build
	./bin/sallyport demo

build:
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/sallyport ./cmd/sallyport

test: parts lint unit packages fuzz e2e

# Unit tests and scenarios, with the race detector; at full speed a million strangers, scenarios that must fail, and all in entries of issuers.
unit: parts
	$(GO) test -race -timeout 10m $$($(GO) list ./... | grep -v '/internal/e2e$$')
	$(GO) test -run Bounded ./internal/cache
	$(GO) test -run 'LeftOut|InAnEntry' -parallel 6 ./cmd/sallyport

# The release for Linux, built twice and compared; its packages, SBOM and images, read and run.
packages: parts
	$(GO) -C deploy/release test -count=1 -timeout 20m .

# Every fuzz target for FUZZTIME, wherever it is: one that is written later runs, too. What they find stands in testdata/fuzz
# of the package, to be committed with what mends it. A target that fails is run again: go test sometimes reports its own deadline
# as a failure, and an input that fails is in testdata/fuzz by then and fails again.
fuzz:
	@grep -rHo --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' cmd internal | sort | while IFS=: read -r file target; do \
		echo "$$(dirname "$$file") $${target#func }"; \
		fuzz="$(GO) test -run ^$$ -fuzz ^$${target#func }\$$ -fuzztime $(FUZZTIME) -fuzzminimizetime 5s -parallel 2 ./$$(dirname "$$file")"; \
		$$fuzz </dev/null || $$fuzz </dev/null || exit 1; \
	done

# Replicas under load while connections are cut at random, for half an hour; make test does it for a minute.
soak: parts
	$(GO) test -race -count=1 -v -timeout 60m -run TestSoak ./internal/faults -soak 30m

# The real binary between real parts, and as Kubernetes runs it.
e2e: parts build
	$(GO) test -count=1 -timeout 20m ./internal/e2e
	$(GO) test -C internal/e2e/kubernetes -count=1 -timeout 10m .

# What the tests need and this machine may lack; kept in .cache.
parts:
	./internal/e2e/parts.sh

lint:
	@unformatted=$$(gofmt -l cmd internal deploy); if [ -n "$$unformatted" ]; then echo "gofmt would change: $$unformatted"; exit 1; fi
	$(GO) vet ./...
	$(GO) mod tidy -diff
	$(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...
	for module in internal/e2e/kubernetes deploy/release; do \
		(cd $$module && $(GO) vet . && $(GO) mod tidy -diff && $(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2 .) || exit 1; \
	done

# The cost that the gate adds, as a ratio to a bare httputil.ReverseProxy in the same run.
bench: parts
	CGO_ENABLED=0 $(GO) run ./internal/bench

# How many bytes a session takes: 1,000,000 in Redis, 100,000 in memory. It needs 10 GB of memory and half an hour.
footprint: parts
	$(GO) test -run '^$$' -bench Footprint/redis -benchtime 1000000x -timeout 2h ./internal/session
	$(GO) test -run '^$$' -bench Footprint/memory -benchtime 100000x ./internal/session

# What a release consists of, in dist: archives, packages, SBOMs, checksums. The same commit and Go version give the same bytes.
release:
	$(GO) -C deploy/release run . -C $(CURDIR) -o $(CURDIR)/dist

# Builds all of a release twice, in two folders, and compares every byte; make test does it for Linux.
release-check: parts
	$(GO) -C deploy/release test -count=1 -timeout 60m . -all

# A container image from scratch for linux/amd64 and linux/arm64, built without an engine from the archives of make release.
image: release
	@command -v buildah >/dev/null || { echo "make image needs buildah: apt-get install buildah"; exit 1; }
	deploy/release/image.sh dist sallyport:latest

clean:
	rm -rf bin out dist

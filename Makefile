# Two targets do everything on a fresh machine: demo and test. CONTRIBUTING.md explains the rest.

GO        ?= go
# One set of flags for programs and tests, so that they share what is compiled.
export CGO_ENABLED = 0
export GOFLAGS     = -trimpath
LDFLAGS   := -s -w -X main.version=$(shell git describe --tags --always --dirty 2>/dev/null || echo development)
PACKAGES  := ./...
# The kill matrix, most of what a virtual machine is needed for, simulations of comparisons, k6 beside k6 and three runners beside one take all
# processors, and what is timed beside them is timed wrongly. The kernel with netem counts its own instructions for
# seconds, so nothing beside it disturbs it.
ALONE     := ./internal/vm/... ./internal/killmatrix/... ./report/compare ./loadgen/k6/... ./loadgen/collector
MACHINES  := ^(TestReboot|TestNetemFaultsUnderARealKernel)$$
# What holds gameday to figures of a quiet machine: how soon all faults are gone, how many requests a service bears, what observers take,
# how soon it starts, how soon a guard that was told, or cut off, has let go, and a fault whose guard was killed, what a swap of the kernel's queues
# costs others. A name here leaves the line of all packages, so each package that has one is in TIMED_IN.
TIMED     := ^(TestEndings|TestClientKilled|TestCutConnection|TestAbortIsSwift|TestStopAllIsSwift|TestHaltIsSwift|TestHostConductorKilled|TestRoomOfABlindRun|TestAWholeBlindDay|TestFloodOfARoom|TestObserversOfARun|TestMeasuredScripts|TestStart|TestComingAndGoing|TestNothingOutlives)$$
TIMED_IN  := ./faults/dns ./faults/network ./faults/stress ./loadgen/remote ./targets/hosts ./cmd/gameday
TOOL      := $(GO) tool -modfile=tools/go.mod

IMAGE_ROOT := bin/image-root

.PHONY: demo build programs suite guards image-root test machines test-suite test-kubernetes cluster-runs cluster-parts test-matrix test-regress test-fast setup lint golden pictures bench examples fuzz clean

# The main job on the embedded default: a whole game day, no root, nothing but Go, git and make.
demo: programs
	@echo "running examples/shop/game-day.hcl: about two minutes"
	bin/gameday run examples/shop/game-day.hcl

build: programs
	$(GO) build -ldflags '$(LDFLAGS)' -o bin/gameday-kubernetes ./cmd/gameday-kubernetes
	test "$$($(GO) env GOOS)" != linux || $(GO) build -o bin/shop-containers ./examples/shop-containers

# What a game day on this machine needs: no client of Kubernetes is compiled for it.
programs:
	@mkdir -p bin
	$(GO) build -ldflags '$(LDFLAGS)' -o bin/gameday ./cmd/gameday
	$(GO) build -ldflags '$(LDFLAGS)' -o bin/gameday-k6 ./cmd/gameday-k6
	$(GO) build -ldflags '$(LDFLAGS)' -o bin/gameday-guard ./cmd/gameday-guard
	$(GO) build -o bin/shop ./examples/shop/cmd/shop
	$(GO) build -o bin/oncall ./examples/oncall
	$(GO) build -o bin/suite ./examples/suite/cmd/suite

# What the scenarios of examples/suite need: none of them sends k6 scripts.
suite:
	@mkdir -p bin
	$(GO) build -ldflags '$(LDFLAGS)' -o bin/gameday ./cmd/gameday
	$(GO) build -o bin/oncall ./examples/oncall
	$(GO) build -o bin/suite ./examples/suite/cmd/suite

# Guards for hosts with another processor than this machine's: they are looked for beside gameday.
guards:
	@mkdir -p bin
	GOOS=linux GOARCH=amd64 $(GO) build -ldflags '$(LDFLAGS)' -o bin/gameday-guard-linux-amd64 ./cmd/gameday-guard
	GOOS=linux GOARCH=arm64 $(GO) build -ldflags '$(LDFLAGS)' -o bin/gameday-guard-linux-arm64 ./cmd/gameday-guard

# The root file system of the image that Containerfile describes.
image-root: build
	deploy/image-root bin '$(IMAGE_ROOT)'

# Installs what the tests need, then runs every one of them, and every example. Three packages at a time on two processors: most
# tests with real servers wait. Those that are held to the figures of a quiet machine come by themselves. ./cmd/gameday takes seven minutes of the first
# line, most of it waiting, and three times as long on a slow machine.
test: setup build
	CI=true $(GO) test -p 3 -timeout 40m -skip '$(MACHINES)|$(TIMED)' $$($(GO) list $(PACKAGES) | grep -v -e /internal/vm -e /internal/killmatrix -e /report/compare -e /loadgen/k6 -e /loadgen/collector)
	CI=true $(GO) test -timeout 20m -p 1 -run '$(TIMED)' $(TIMED_IN)
	CI=true $(GO) test -timeout 20m -p 1 -skip '$(MACHINES)' $(ALONE)
	CI=true $(MAKE) -j2 --output-sync=target machines examples

# What is tried on a kernel of its own, whose machine has one processor, so that the other is there for the examples.
machines:
	$(GO) test -timeout 20m -p 1 -run '$(MACHINES)' ./cmd/gameday ./internal/vm

# Every scenario of examples/suite in both of its worlds, three game days at a time; SLICE=1/3 is a third of them, ONLY=dns those
# in whose names that is.
test-suite: setup suite
	CI=true GAMEDAY_SUITE=1 SLICE='$(SLICE)' ONLY='$(ONLY)' $(GO) test -count 1 -timeout 30m -v -run '^TestGameDays$$' ./examples/suite

# Builds Kubernetes, Chaos Mesh and the k6 operator once for each version, and runs the tests that want a whole cluster: two clusters at a
# time, which mostly wait, each in a network of its own.
test-kubernetes:
	tools/setup-kubernetes
	CI=true GAMEDAY_KUBERNETES=1 $(MAKE) -j2 --output-sync=target cluster-runs cluster-parts

# Both halves of it; by themselves they leave out what wants a whole cluster.
cluster-runs:
	$(GO) test -timeout 40m -run '^TestKubernetes' ./cmd/gameday
	$(GO) test -p 1 -timeout 30m ./internal/kuberig/... ./examples/shop-kubernetes

cluster-parts:
	$(GO) test -p 1 -timeout 30m ./loadgen/kubernetes ./faults/chaosmesh ./deploy

# Strikes every fault at every point of its life, in namespaces and processes of its own, and writes docs/kill-matrix.md.
# With MATRIX=-machine also in a virtual machine: netem, clocks that jump, power that is cut. That takes a quarter of an hour more.
test-matrix:
	CI=true $(GO) test -timeout 60m -count 1 ./internal/killmatrix -run 'TestMatrix|TestLeaks' -full -update $(MATRIX)
	$(GO) test -count 1 ./internal/killmatrix -run 'TestPage|TestEveryKind'
	CI=true $(GO) test -timeout 30m -count 1 -v ./faults/guard -run 'TestModel' -rapid.checks 10000

# Shows live that `gameday regress` finds a shop that sleeps and passes an unchanged one, ten times in ten: an hour, on a
# quiet machine.
test-regress: build
	examples/regress/live $(TIMES)

# No namespaces, no programs from elsewhere, no traffic: the part to run after every change.
test-fast:
	$(GO) test -short ./clock/... ./programs ./faults ./loadgen ./loadgen/baseline ./loadgen/sli/... ./alarms/webhook ./importer ./report/... ./scenarios/... ./conductor/... ./internal/...

setup:
	tools/setup

lint:
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -d $$(git ls-files '*.go'); exit 1; }
	$(GO) vet $(PACKAGES)
	GOOS=darwin $(GO) vet $(PACKAGES)
	$(TOOL) staticcheck $(PACKAGES)

# Rewrites every golden file, runs the tests again, and shows what changed.
golden:
	$(GO) test ./scenarios ./importer ./report ./conductor/... ./cmd/gameday -update
	$(GO) test ./scenarios ./importer ./report ./conductor/... ./cmd/gameday
	git --no-pager diff --stat

# Remakes docs/pictures from a simulated game day, with Chromium.
pictures:
	$(GO) run ./internal/pictures

bench: build
	$(GO) run ./internal/bench

# Runs every example, and checks that each ends as its README says.
examples: build
	examples/run

fuzz:
	$(GO) test ./scenarios -run '^$$' -fuzz FuzzLoad -fuzztime 60s -fuzzminimizetime 20x
	$(GO) test ./loadgen/baseline -run '^$$' -fuzz FuzzLines -fuzztime 60s
	$(GO) test ./alarms/webhook -run '^$$' -fuzz FuzzRead -fuzztime 60s
	$(GO) test ./alarms/prometheus -run '^$$' -fuzz FuzzSplit -fuzztime 60s -fuzzminimizetime 20x
	$(GO) test ./responders/file -run '^$$' -fuzz FuzzLines -fuzztime 60s
	$(GO) test ./faults/listening -run '^$$' -fuzz FuzzParse -fuzztime 60s
	$(GO) test ./faults/chaosmesh -run '^$$' -fuzz FuzzManifest -fuzztime 60s -fuzzminimizetime 20x
	for f in Hello Token Segment; do $(GO) test ./loadgen/collector -run '^$$' -fuzz "^Fuzz$$f\$$" -fuzztime 60s || exit 1; done
	for f in Reader Orders; do $(GO) test ./loadgen/podlogs -run '^$$' -fuzz "^Fuzz$$f\$$" -fuzztime 60s -fuzzminimizetime 20x || exit 1; done
	for f in GrafanaList ParseHeader Rejected; do $(GO) test ./report/export -run '^$$' -fuzz "^Fuzz$$f\$$" -fuzztime 60s || exit 1; done
	$(GO) test ./scenarios -run '^$$' -fuzz FuzzCalendar -fuzztime 60s -fuzzminimizetime 20x
	$(GO) test ./schedules -run '^$$' -fuzz FuzzParseCron -fuzztime 60s -fuzzminimizetime 20x
	$(GO) test ./schedules/ical -run '^$$' -fuzz FuzzRead -fuzztime 60s -fuzzminimizetime 20x
	$(GO) test ./rehearsals/bundle -run '^$$' -fuzz FuzzRead -fuzztime 60s -fuzzminimizetime 20x
	$(GO) test ./rehearsals/kept -run '^$$' -fuzz FuzzParseSignOffs -fuzztime 60s
	for f in Requests Called; do $(GO) test ./room/web -run '^$$' -fuzz "^Fuzz$$f\$$" -fuzztime 60s -fuzzminimizetime 20x || exit 1; done
	for f in HAR Postman OpenAPI Detect; do $(GO) test ./importer -run '^$$' -fuzz "^Fuzz$$f\$$" -fuzztime 60s -fuzzminimizetime 20x || exit 1; done

clean:
	rm -rf bin runs

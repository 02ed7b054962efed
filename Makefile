# Run `make help`. Every target can be run again at any time and does only what is missing.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.NOTPARALLEL:
MAKEFLAGS += --no-builtin-rules --no-print-directory

# A Go that `make setup` has fetched comes first; one in its usual place need not be on the PATH.
export PATH := $(CURDIR)/build/go/bin:$(PATH):/usr/local/go/bin
export GOTOOLCHAIN := local

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
GO_SOURCES = $(shell find cmd daemon verbs shuffle jvmbridge internal bench bigdl -name '*.go' -not -name '*_test.go' -not -path '*/target/*') \
	$(wildcard verbs/*.[ch]) go.mod go.sum
JAVA_SOURCES = $(shell find jvmbridge/java -name target -prune -o -path '*/src/main/*' -type f -print -o -name pom.xml -print) \
	proto/block.proto proto/bridge.proto
# Any JDK 17, as make setup looks for one; the PATH may have another, or a Java runtime alone.
JDK_BIN = $(dir $(firstword $(wildcard /usr/lib/jvm/*17*/bin/javac)))
MVN := mvn -q -B -f jvmbridge/java/pom.xml
SPARK_LINES := 3.1.3 3.5.9 4.0.4 4.1.3
comma := ,
TOOL := go tool -modfile=scripts/tools/go.mod

.PHONY: help
help: ## Show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## Install what is missing: Java 17, Maven, gcc, headers of libibverbs and librdmacm, iproute2, pip, Go (Debian packages; Go into build/go)
	@scripts/setup

.PHONY: build
build: setup build/weft build/weft-spark.jar build/delaylink ## Build build/weft, build/weft-spark.jar and build/weft-it.jar

# Without netgo and osusergo the C library would look up names and users: more of it would be needed, and other settings would count.
GO_BUILD = CGO_ENABLED=1 go build -trimpath -buildvcs=false -ldflags '-s -w -X weft/internal/version.linked=$(VERSION)'

build/weft: $(GO_SOURCES)
	@echo "building weft (minutes at the first time)"
	$(GO_BUILD) -tags netgo,osusergo -o $@ ./cmd/weft

# The daemon that travels inside the shim's jar: without the benchmarks, whose libraries are as large as all the rest.
build/daemon/weft: $(GO_SOURCES)
	$(GO_BUILD) -tags netgo,osusergo,nobench -o $@ ./cmd/weft

build/delaylink: scripts/delaylink/main.go go.mod go.sum
	CGO_ENABLED=0 go build -trimpath -buildvcs=false -o $@ ./scripts/delaylink

# One run of Maven makes both jars.
build/weft-spark.jar build/weft-it.jar &: build/daemon/weft $(JAVA_SOURCES)
	$(MVN) package -DskipTests
	touch build/weft-spark.jar build/weft-it.jar

.PHONY: generate
generate: setup ## Write generated code and docs anew (protoc comes from Debian's protobuf-compiler)
	scripts/generate
	go generate ./...
	$(MVN) -pl core test -Dtest='SettingsTest,VectorsTest' -Dweft.write=true

.PHONY: test
test: test-unit fuzz test-java test-rdma test-spark ## Run all tests, on all Spark lines, with real faults

.PHONY: test-unit
test-unit: setup ## Run the Go tests, with the race detector and all assertions
	go vet -tags invariants,e2e,rdma ./...
	go test -race -tags invariants ./...
	go test -tags invariants ./internal/sockio ./jvmbridge ./shuffle ./shuffle/tcp # its system calls are others under the race detector

.PHONY: fuzz
fuzz: setup ## Run each fuzz target of the Go code on 20000 inputs, or on INPUTS=1000000
	@scripts/fuzz $(INPUTS)

.PHONY: test-java
test-java: setup build/daemon/weft ## Run the Java tests
	$(MVN) verify

.PHONY: rig
rig: setup ## Build the kernel of the guests that have soft-RoCE, into build/rig (5 to 10 minutes, once)
	@scripts/rig-kernel

.PHONY: test-rdma
test-rdma: $(if $(WEFT_TEST_DEVICE),setup,rig build bigdl) ## Run the tests on RDMA verbs, and Spark on them, in guests with soft-RoCE; or on WEFT_TEST_DEVICE=mlx5_0 of this machine
	$(if $(WEFT_TEST_DEVICE),,go test -count=1 -tags rdma$(comma)invariants ./scripts/guests)
	scripts/test-rdma

.PHONY: test-spark
test-spark: build spark bigdl ## Run real Spark jobs on hosts in network namespaces (needs root); RUN=regexp for a part of them
	go test -tags e2e -p 1 -count=1 -timeout 55m -v $(if $(RUN),-run '$(RUN)') ./e2e/...

.PHONY: chaos
chaos: build ## Break things at random, in process and under Spark jobs, and check every answer (needs root); MINUTES, SEED, FAULTS and HOST_FAULTS
	@scripts/spark 3.5.9
	@go run ./scripts/chaos $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SEED),--seed $(SEED)) $(if $(FAULTS),--faults $(FAULTS)) \
		$(if $(HOST_FAULTS),--host-faults $(HOST_FAULTS))

.PHONY: soak
soak: build ## Run Spark jobs, faults and the fetch benchmark for HOURS=1 (or 8, 0.5 ...), and fail where anything that daemons hold grows (needs root)
	@scripts/spark 3.5.9
	@go run ./scripts/soak $(if $(HOURS),--hours $(HOURS)) $(if $(SEED),--seed $(SEED))

.PHONY: spark
spark: setup ## Fetch the Spark lines of the tests into build/spark
	@scripts/spark $(SPARK_LINES)

.PHONY: bigdl
bigdl: setup ## Fetch BigDL, the MLlib that it needs and Spark 3.1.3, and build the trainer of its models, build/weft-bigdl.jar
	@scripts/bigdl
	@scripts/spark 3.1.3
	@$(MAKE) build/weft-bigdl.jar

# Not by Maven: BigDL is in none of its repositories.
build/weft-bigdl.jar: $(wildcard jvmbridge/java/bigdl/src/main/java/weft/bigdl/*.java)
	rm -rf build/weft-bigdl.classes
	$(JDK_BIN)javac --release 8 -Xlint:-options -d build/weft-bigdl.classes -cp 'build/bigdl/dllib.jar:build/spark/3.1.3/jars/*' $^
	$(JDK_BIN)jar --create --file $@ -C build/weft-bigdl.classes .
	rm -rf build/weft-bigdl.classes

.PHONY: demo
demo: build bigdl ## Run three plain jobs and BigDL's training of VGG on two hosts, stock Spark beside weft, and compare
	@scripts/demo

# Two shuffles whose read stage has a target: 2 GiB in blocks of 2 MiB, and 10^6 blocks of 1 KB (bench/targets/jobs.go).
LARGE_BLOCKS := --maps 32 --reduces 32 --records 1024 --record-bytes 65536 --executor-memory 5g
SMALL_BLOCKS := --maps 1000 --reduces 1000 --records 1000 --record-bytes 1000 --executor-memory 3g
VGG := --model vgg --batch 8 --iterations 20 --records 320 --test-records 16 --repeats 3

.PHONY: bench
bench: build bigdl ## Measure all that has a target, and print how far each is met: build/bench/targets.json (long; needs root)
	@echo "bench: 1 of 5: the registry of map outputs"
	build/weft bench registry
	@echo "bench: 2 of 5: block fetches"
	build/weft bench fetch --block 1024,4096,65536,1048576,16777216
	@echo "bench: 3 of 5: a shuffle of large blocks"
	build/weft bench shuffle --impl stock,weft-tcp,local --job smallblocks $(LARGE_BLOCKS) --out build/bench/large-blocks
	@echo "bench: 4 of 5: a shuffle of small blocks"
	build/weft bench shuffle --impl stock,weft-tcp,local --job smallblocks $(SMALL_BLOCKS) --out build/bench/small-blocks
	@echo "bench: 5 of 5: BigDL's VGG"
	build/weft bench train $(VGG)
	build/weft bench targets build/bench
	@if [ -f docs/results/fetch.txt ]; then $(TOOL) benchstat docs/results/fetch.txt build/bench/fetch.txt; \
	else echo "bench: no docs/results/fetch.txt, so nothing to compare with: build/bench/fetch.txt of a quiet machine may become it"; fi

.PHONY: bench-fetch
bench-fetch: build ## Measure block fetches: stock Netty, weft and the raw limit, into build/bench
	build/weft bench fetch

.PHONY: bench-shuffle
bench-shuffle: build ## Measure whole shuffles on Spark, stock beside weft, into build/bench
	build/weft bench shuffle

.PHONY: bench-train
bench-train: build bigdl ## Train BigDL's LeNet and VGG, stock beside weft, into build/bench (build/weft bench train --help: other tables)
	build/weft bench train --model lenet --repeats 3
	build/weft bench train $(VGG)
	build/weft bench report build/bench

.PHONY: bench-rdma
bench-rdma: $(if $(filter tcg,$(RIG)),,rig) build/weft ## Measure READs on soft-RoCE beside a bare C loop, into build/bench; RIG=tcg: beside perftest, too
	scripts/bench-rdma $(if $(filter tcg,$(RIG)),--tcg)

.PHONY: lint
lint: setup ## Check the style of the Go code and the scripts
	$(TOOL) golangci-lint run --build-tags invariants,e2e,rdma
	$(TOOL) shfmt -d scripts

.PHONY: fmt
fmt: setup ## Format the Go code and the scripts
	$(TOOL) golangci-lint fmt
	$(TOOL) shfmt -w scripts

.PHONY: clean
clean: ## Remove what was built, but neither Spark nor BigDL nor Go nor the kernel of the guests
	find build -mindepth 1 -maxdepth 1 ! -name spark ! -name bigdl ! -name hdfs ! -name go ! -name rig -exec rm -rf {} +
	rm -rf jvmbridge/java/*/target

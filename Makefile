# Everything that a developer runs, by name. `make` alone lists it.

GOLANGCI_VERSION := v2.15.0
CYCLONEDX_VERSION := v1.10.0
DEADCODE_VERSION := v0.38.0
BENCH_EVENTS ?= 5000000
BENCH_STATE ?= 50000000
DEMO ?= /tmp/daybook-demo

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

.PHONY: build
build: ## the programs, into bin/
	@mkdir -p bin
	go build -trimpath -o bin/ ./cmd/...

.PHONY: demo
demo: ## a week of events, a release, a late correction, a second release, in DEMO (/tmp/daybook-demo)
	go run ./cmd/sandbox demo --dir $(DEMO) --replace

.PHONY: test
test: ## all tests that need no other server (a C compiler for the DuckDB ones)
	@test "$$(go env CGO_ENABLED)" = 1 || echo "no C compiler: the tests that read releases with DuckDB are left out; install gcc or clang to run them"
	go test ./...
	cd test/deploy && go test ./...

.PHONY: race
race: ## the short tests under the race detector
	go test -race -short ./...

.PHONY: lint
lint: ## format, layers and the other rules of .golangci.yml; dead code
	@test/lint $(GOLANGCI_VERSION) run ./...
	@cd test/deploy && ../lint $(GOLANGCI_VERSION) run ./...
	@test/deadcode $(DEADCODE_VERSION)

.PHONY: bench
bench: ## the table of docs/performance.md, measured on this machine: 15 to 40 minutes, 20 GB (BENCH_EVENTS, BENCH_STATE)
	go test ./internal/test/bench -count=1 -v -timeout 6h -run TestTable -bench.events=$(BENCH_EVENTS) -bench.state=$(BENCH_STATE) \
		-bench.day=10000000 -bench.journal=19000 -bench.rounds=3 -bench.document=../../../docs/performance.md

.PHONY: bench-curves
bench-curves: ## how the cost grows, drawn into docs/performance (BENCH_EVENTS, BENCH_STATE)
	go test ./internal/test/bench -count=1 -v -timeout 6h -run TestCurves -bench.events=$(BENCH_EVENTS) -bench.state=$(BENCH_STATE) \
		-bench.curves=docs/performance

.PHONY: charts
charts: ## draw the charts of docs/performance again, from their measurements
	go test ./internal/test/chart -count=1 -redraw

.PHONY: bench-smoke
bench-smoke: ## the same at a size that proves only that it works
	go test ./internal/test/bench -count=1 -v -run TestTable

.PHONY: microbench
microbench: ## the benchmarks of single packages; BENCH=pattern chooses
	go test -run '^$$' -bench '$(or $(BENCH),.)' -benchmem $$(go list ./... | grep -v internal/test/bench)

.PHONY: test-kafka
test-kafka: ## the Kafka tests against a real Apache Kafka, fetched and started on loopback (needs Java 17 and Maven)
	test/kafka/run go test -count=1 -timeout 10m -run Kafka ./internal/ingest ./internal/test/pipeline

.PHONY: sim
sim: ## simulated runs with crashes at any write: SEEDS=FROM-TO, DURATION=10m, or both
	@SEEDS='$(SEEDS)' DURATION='$(DURATION)' test/sim

.PHONY: sweep
sweep: ## every file-system operation failed and crashed at, every sector of every file damaged
	DAYBOOK_SWEEP=full go test -count=1 -timeout 60m -v -run 'Sweep|Rot|EachOperation' ./internal/state ./internal/lake

.PHONY: mutate
mutate: ## put known faults back, one at a time, and check that the named test fails
	@test/mutate

.PHONY: torture
torture: ## readers, publishers, an operator and kill -9 on one lake for DURATION (default 10m)
	go test -count=1 -timeout=0 -v -run '^TestReleaseTorture$$' ./internal/test/pipeline -torture=$(or $(DURATION),10m) $(if $(SEED),-torture-seed=$(SEED))

.PHONY: recipes
recipes: ## the README's recipes (DuckDB, pyarrow, pandas, polars, Spark) on the demo's lake (needs Python 3)
	test/recipes

.PHONY: sbom
sbom: ## the bill of materials (CycloneDX), into bin/sbom.cdx.json
	@mkdir -p bin
	go run github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@$(CYCLONEDX_VERSION) mod -json -licenses -std -type application -noserial -notimestamp -output bin/sbom.cdx.json .

.PHONY: reproducible
reproducible: ## the programs of the last commit built twice, elsewhere and from nothing: the same bytes, and their SHA-256
	@test/reproducible

.PHONY: deploy-check
deploy-check: ## the commands of deploy/ (systemd, Airflow, Dagster) with the real programs, and its manifests against their schemas (needs Python 3)
	test/deploy/check

.PHONY: clean
clean: ## remove bin/ and .cache/
	rm -rf bin .cache

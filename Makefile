# pgprime: what a developer runs. `make` alone lists the targets.

CARGO ?= cargo
ARGS ?=

# make may run where the shell's profile, which adds this, was not read.
export PATH := $(PATH):$(HOME)/.cargo/bin

# PgBouncer's figures beside ours, where it is installed and ARGS does not name another.
PEER = $(if $(findstring --peer,$(ARGS)),,$(shell PATH="$$PATH:/usr/sbin" sh -c 'p=$$(command -v pgbouncer) && echo --peer $$p'))

.DEFAULT_GOAL := help
# Cargo is parallel by itself, and set-up comes before what needs it.
.NOTPARALLEL:
.PHONY: help setup build demo test check bench bench-client bench-tpch screenshots clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install what is missing for everything below
	@scripts/setup.sh test

build: ## Build the release binary, target/release/pgprime
	$(CARGO) build --release -p pgprime

demo: ## Start a private PostgreSQL and pgprime with load on it; options in ARGS="…"
	@scripts/setup.sh demo
	$(CARGO) build --release -p pgprime
	target/release/pgprime demo $(ARGS)

test: setup check ## Install what is missing, check, build, and run all tests
	$(CARGO) test --workspace --no-run
	$(CARGO) test --workspace --doc --quiet
	$(CARGO) test --workspace --lib --bins --tests --no-fail-fast
	scripts/dashboard-tests.sh

check: ## Format, lints and the shape of the code, without running any test
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) run --quiet --package tidy

bench: setup build ## Measure pgprime, and PgBouncer beside it where installed; options in ARGS="…"
	target/release/pgprime bench $(PEER) $(ARGS)

bench-client: setup ## Measure the library's pool beside deadpool, bb8 and sqlx; options in ARGS="…"
	$(CARGO) run --release --quiet -p pool-bench -- $(ARGS)

bench-tpch: setup ## Measure what index advice gains for TPC-H; scripts/tpch.sh says how to change its size
	scripts/tpch.sh

screenshots: setup build ## Make the pictures of the dashboard in docs/images; needs chromium
	scripts/screenshots.sh

clean: ## Remove what was built or installed in this folder
	$(CARGO) clean
	rm -rf .venv crates/pgprime/tests/drivers/node_modules

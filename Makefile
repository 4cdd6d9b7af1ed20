# `make` alone says what there is. Everything runs the same here and in CI.

.DEFAULT_GOAL := help
.PHONY: help demo setup test lint service bench soak docs

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## a release from build to production and back, on this machine alone (ARGS="--keep --fast --step")
	cargo build --locked --release --bin schleuse
	cargo run --locked --release --quiet --bin schleuse -- demo $(ARGS)

setup: ## install what the tests need (Debian, Ubuntu); says what before it does it
	tools/setup.sh

test: setup lint ## everything: what is needed, the rules of the house, every test
	cargo test --locked --workspace
	services/billing/check.sh

service: ## the reference service alone: install, build, start, migrate, serve, every suite
	services/billing/check.sh

lint: ## format, clippy, and the rules of the house (cargo xtask)
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo xtask check

bench: ## promote and verify beside skopeo and cosign; the reference service under load
	cargo bench --locked --package schleuse-e2e
	services/billing/check.sh bench

soak: ## the long tests: random kills, many races, documents mutated for minutes, many more requests against the contract
	SCHLEUSE_SOAK=1 cargo test --locked --release --package schleuse-e2e
	SCHLEUSE_SOAK=1 cargo test --locked --release --package schleuse-sign --test fuzz
	SCHLEUSE_SOAK=1 cargo test --locked --release --package schleuse-registry --test it crash::kill
	SCHLEUSE_SOAK=1 cargo test --locked --release --package schleuse-image --test fuzz
	SCHLEUSE_SOAK=1 cargo test --locked --release --package schleuse-properties
	SCHLEUSE_SOAK=1 cargo test --locked --release --package schleuse-registry
	tools/fuzz.sh 300
	services/billing/check.sh soak

docs: ## write the generated documents (docs/, schema/) and the API documentation
	cargo xtask docs
	cargo doc --locked --workspace --no-deps

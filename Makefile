# `make` lists the targets. `make check` is all that CI runs.

CARGO   ?= cargo
DMARCDB  = target/release/dmarcdb
DEMO     = $(DMARCDB) --db demo.sqlite --config samples/dmarcdb.toml

.PHONY: help demo release test check fmt clippy doc advisories samples bench fuzz clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: release ## build, read samples/mail into demo.sqlite, show a week of it
	@rm -f demo.sqlite demo.sqlite-wal demo.sqlite-shm demo.sqlite-journal demo.sqlite.lock
	@echo; echo '$$ dmarcdb ingest samples/mail'
	@$(DEMO) ingest samples/mail; status=$$?; \
	if [ $$status -ne 65 ]; then \
		echo "make demo: ingest ended with status $$status, expected 65" >&2; exit 1; \
	fi; \
	echo; \
	echo "Exit status 65 is right here: among the samples are reports that nobody can read, one cut short and one"; \
	echo "locked with a password. They wait under problems, shown below; everything else was stored."
	@echo; echo '$$ dmarcdb summary --since 7d --until newest'
	@$(DEMO) summary --since 7d --until newest
	@echo; echo '$$ dmarcdb complaints --since 7d --until newest'
	@$(DEMO) complaints --since 7d --until newest
	@echo; echo '$$ dmarcdb problems'
	@$(DEMO) problems
	@echo; echo '$$ dmarcdb suppress export --format csv'
	@$(DEMO) suppress export --format csv
	@echo; echo 'The database is demo.sqlite: try  $(DEMO) source 198.51.100.20'

release: ## build the release binary
	$(CARGO) build --release --locked

test: ## run every test; installs Debian's dovecot-imapd when it is missing and we are root
	@if [ ! -x /usr/sbin/dovecot ] && ! command -v dovecot >/dev/null; then \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			echo "installing dovecot-imapd, which the tests of fetch start on a loopback port"; \
			apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends dovecot-imapd; \
		else \
			echo "The tests of fetch need Dovecot. As root:  apt-get install --no-install-recommends dovecot-imapd" >&2; exit 1; \
		fi; \
	fi
	@if $(CARGO) nextest --version >/dev/null 2>&1; then \
		$(CARGO) nextest run --locked --no-fail-fast && $(CARGO) test --locked --doc; \
	else \
		$(CARGO) test --locked --no-fail-fast; \
	fi

check: fmt clippy test doc advisories ## all that CI runs

fmt: ## is everything formatted
	$(CARGO) fmt --all --check

clippy: ## lints, warnings are errors
	$(CARGO) clippy --locked --all-targets -- -D warnings

doc: ## the documentation builds without warnings
	RUSTDOCFLAGS=-Dwarnings $(CARGO) doc --locked --no-deps

samples: ## write samples/ again from samples/make.py (needs python3)
	python3 samples/make.py

advisories: ## look the dependencies up in the RustSec database
	@.ci/advisories

bench: ## speed and memory, each beside its floor
	$(CARGO) bench --locked --bench ingest

fuzz: ## fuzz the readers for a minute each (fuzz/run)
	@test -x fuzz/run || { echo "there is no fuzz/run in this tree" >&2; exit 1; }
	@fuzz/run

clean: ## remove what was built, and the demo
	$(CARGO) clean
	rm -f demo.sqlite demo.sqlite-wal demo.sqlite-shm demo.sqlite-journal demo.sqlite.lock

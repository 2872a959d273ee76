# `make` lists the targets. `make check` is all that CI runs.

CARGO   ?= cargo
DMARCDB  = target/release/dmarcdb
DEMO     = $(DMARCDB) --db demo.sqlite --config samples/dmarcdb.toml

.PHONY: help demo release packages test check fmt clippy doc advisories instructions samples bench bench-full peers soak fuzz torture clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

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
	@echo; echo '$$ dmarcdb complaints --rates=provider --since 7d --until newest'
	@$(DEMO) complaints --rates=provider --since 7d --until newest
	@echo; echo '$$ dmarcdb problems'
	@$(DEMO) problems
	@echo; echo '$$ dmarcdb suppress list --include-pending'
	@$(DEMO) suppress list --include-pending
	@echo; echo '$$ dmarcdb suppress export --format csv'
	@$(DEMO) suppress export --format csv
	@echo; echo '$$ dmarcdb suppress why nora@people.example'
	@$(DEMO) suppress why nora@people.example
	@echo; echo '$$ dmarcdb suppress why moved@people.example'
	@$(DEMO) suppress why moved@people.example
	@echo; echo 'Every line of the list can be asked `suppress why`. The database is demo.sqlite: try  $(DEMO) source 198.51.100.20'

release: ## build the release binary
	$(CARGO) build --release --locked

# What the tests start or run the binary under: a real IMAP server, a real DNS server, a way to make system calls fail, a clock
# that lies, a browser that looks at the digest, and a counter of instructions.
TEST_PACKAGES = dovecot-imapd nsd strace libfaketime chromium-headless-shell valgrind

packages:
	@missing=; \
	[ -x /usr/sbin/dovecot ] || command -v dovecot >/dev/null || missing=1; \
	[ -x /usr/sbin/nsd ] || missing=1; \
	command -v strace >/dev/null || missing=1; \
	command -v valgrind >/dev/null || missing=1; \
	ls /usr/lib/*/faketime/libfaketime.so.1 >/dev/null 2>&1 || missing=1; \
	command -v chromium-headless-shell >/dev/null || command -v chromium >/dev/null || missing=1; \
	if [ -n "$$missing" ]; then \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			echo "installing $(TEST_PACKAGES), which the tests run on this machine only"; \
			apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $(TEST_PACKAGES); \
		else \
			echo "The tests need $(TEST_PACKAGES). As root:  apt-get install --no-install-recommends $(TEST_PACKAGES)" >&2; exit 1; \
		fi; \
	fi

test: packages ## run every test; installs what Debian has of dovecot, strace, libfaketime and chromium when missing and we are root
	@if $(CARGO) nextest --version >/dev/null 2>&1; then \
		$(CARGO) nextest run --locked --no-fail-fast && $(CARGO) test --locked --doc; \
	else \
		$(CARGO) test --locked --no-fail-fast; \
	fi

check: fmt clippy test doc instructions advisories ## all that CI runs

fmt: ## is everything formatted
	$(CARGO) fmt --all --check

clippy: ## lints, warnings are errors
	$(CARGO) clippy --locked --all-targets -- -D warnings

doc: ## the documentation builds without warnings
	RUSTDOCFLAGS=-Dwarnings $(CARGO) doc --locked --no-deps

samples: ## write samples/ again from samples/make.py (needs python3)
	python3 samples/make.py

instructions: packages release ## instructions of reading, ingest and summary, held against benches/instructions.txt
	@benches/instructions

advisories: ## look the dependencies up in the RustSec database
	@.ci/advisories

TORTURE_TABLE = $(CURDIR)/target/torture.tsv
torture: packages ## every fault at every point, an hour at most, with a table of points and violations (docs/torture.md)
	@mkdir -p target; rm -f $(TORTURE_TABLE)
	@$(CARGO) test --locked --release --test it --no-run && \
	DMARCDB_TORTURE=full DMARCDB_TORTURE_TABLE=$(TORTURE_TABLE) DMARCDB_TORTURE_UNTIL=$$(($$(date +%s) + 3300)) \
		$(CARGO) test --locked --release --test it torture -- --nocapture --test-threads 2; status=$$?; \
	echo; awk -F '\t' 'BEGIN { printf "%-34s %8s %8s %10s %8s\n", "suite", "points", "target", "violations", "seconds" } \
		{ printf "%-34s %8d %8d %10d %8d  %s\n", $$1, $$2, $$3, $$4, $$5, $$6; p += $$2; t += $$3; v += $$4; s += $$5 } \
		END { printf "%-34s %8d %8d %10d %8d\n", "all", p, t, v, s }' $(TORTURE_TABLE); \
	exit $$status

bench: packages ## speed and memory, each beside its floor, and growth to a million rows
	$(CARGO) bench --locked --bench ingest
	$(CARGO) bench --locked --bench aggregate
	$(CARGO) bench --locked --bench fetch
	$(CARGO) bench --locked --bench export
	$(CARGO) bench --locked --bench complaints
	$(CARGO) bench --locked --bench growth

bench-full: bench ## the same, growth to fifty million rows (6 GB of disk), and a mailbox of 100 000 messages
	$(CARGO) bench --locked --bench fetch -- --full
	$(CARGO) bench --locked --bench growth -- --full

peers: release ## beside parsedmarc, which is installed from PyPI under target/peers (benches/peers.md)
	python3 benches/peers/run.py

SECONDS ?= 3600
soak: ## fetch --watch under faults for SECONDS (an hour): nothing lost, memory flat
	DMARCDB_SOAK_SECONDS=$(SECONDS) $(CARGO) test --locked --test it -- --exact --nocapture \
		watch::faults_for_a_while_lose_nothing_and_memory_stays_flat

fuzz: ## fuzz the readers for a minute each (fuzz/run)
	@test -x fuzz/run || { echo "there is no fuzz/run in this tree" >&2; exit 1; }
	@fuzz/run

clean: ## remove what was built, and the demo
	$(CARGO) clean
	rm -f demo.sqlite demo.sqlite-wal demo.sqlite-shm demo.sqlite-journal demo.sqlite.lock

# The commands a newcomer needs. Each runs unattended, as root or as an ordinary user; what has to
# be installed is installed by scripts/install-deps. Developers use `cargo xtask` directly.

.DEFAULT_GOAL := help
.PHONY: demo test guest clean help
# One thing after the other: every step here already uses all processors.
.NOTPARALLEL:

# Where rustup puts cargo when scripts/install-deps has just installed it.
export PATH := $(HOME)/.cargo/bin:$(PATH)
# No package manager and no client of git may ask anybody.
export DEBIAN_FRONTEND := noninteractive
export GIT_TERMINAL_PROMPT := 0

# Runs a script of the tree; says so where it is missing.
run = if [ -x $(1) ]; then $(1); else echo "make: no $(1) in this tree; going on without it" >&2; fi

demo: ## Build all, start a cloud, boot real guests in it, stop, and say how long each step took
	@$(call run,scripts/install-deps)
	@$(call run,scripts/install-openstackclient)
	@$(MAKE) --no-print-directory guest || echo "make: no guest image; the demo goes on without real guests" >&2
	cargo build --release --bin luc
	cargo run --quiet --release --bin luc -- demo

test: ## Everything a change must pass; ends with the count of tests
	@$(call run,scripts/install-deps)
	@$(call run,scripts/install-openstackclient)
	@$(call run,scripts/install-keystone)
	@$(MAKE) --no-print-directory guest || echo "make: no guest image; its tests are skipped" >&2
	@cargo xtask ci

guest: ## The small bootable image of the demo and the tests (kept once built)
	@$(call run,guest/make-image)

clean: ## Remove what was built: binaries and the guest image (data of clouds stays)
	cargo clean
	rm -rf guest/build

help: ## This list
	@sed -n 's/^\([a-z]*\): ## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

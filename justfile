# Every task by name; `just` lists them. Continuous integration runs the same tasks (scripts/test).

set shell := ["bash", "-euo", "pipefail", "-c"]

cache := env("XDG_CACHE_HOME", home_directory() / ".cache") / "patchcord"
export CARGO_TARGET_DIR := cache / "target"
export PATH := cache / "tools/bin:" + env("PATH")
server := CARGO_TARGET_DIR / "debug/patchcord"

# The end-to-end tests are built together with the server, because by themselves they would build its
# libraries a second time, with fewer features.
with-server := "--package e2e --package patchcord"

# list the tasks
default:
    @just --list --unsorted

# install what building and testing need
setup:
    scripts/setup

# everything that needs no running server: format, lints, licences, structure, documents
check: fmt clippy deny tidy conformance errors docs

# run the server from this folder, with readable logs
serve *args: build-server
    {{ server }} serve {{ args }}

# rebuild and run the server with debug logs and data in a temporary folder
dev *args: build-server
    PATCHCORD_LOG__LEVEL=debug {{ server }} serve --data "$(mktemp -d)" {{ args }}

# place a real call between two built-in phones and print what happened
demo *args: build-server
    {{ server }} demo {{ args }}

# all tests: unit, the examples, then end to end
test: unit examples e2e

# tests beside the code and in each crate's tests/
unit *args:
    cargo nextest run --locked --workspace --exclude e2e {{ args }}

# the real binary against real peers; an argument filters by name
e2e *args: build-server
    cargo nextest run --locked {{ with-server }} -E 'package(e2e)' {{ args }}

# rehearse the calls in examples/
examples: build-server
    {{ server }} test examples

# check the format of all code (cargo fmt --all to apply it)
fmt:
    cargo fmt --all --check

# lints; a warning is a failure
clippy:
    cargo clippy --locked --quiet --workspace --all-targets -- -D warnings

# build the API documentation; a broken link is a failure
docs:
    RUSTDOCFLAGS="-D warnings" cargo doc --locked --quiet --workspace --no-deps --document-private-items

# bans, licences and sources of dependencies
deny:
    cargo deny --locked --log-level error check --hide-inclusion-graph bans licenses sources

# crate graph, module headers, file lengths, forbidden words
tidy:
    cargo xtask tidy

# each conformance row names a real test or says what it waits for
conformance *args:
    cargo xtask conformance --strict {{ args }}

# docs/errors.md and the error table agree
errors:
    cargo xtask errors --check

# regenerate the documents: docs/errors.md, docs/config.md, docs/openapi-*.json, docs/rest/, docs/rcml/what-runs.md
gen:
    cargo xtask errors
    PATCHCORD_UPDATE_DOCS=1 cargo nextest run --package patchcord --package api --package rcml document_is_current

# compile everything that the suites run
build:
    cargo build --locked --quiet --workspace --all-targets

[private]
build-server:
    cargo build --locked --quiet --package patchcord

# replay the fuzz corpora and mutate them for some seconds per parser
fuzz-smoke seconds="3":
    PATCHCORD_FUZZ_SECONDS={{ seconds }} cargo nextest run --locked --workspace --exclude e2e --run-ignored all -E 'test(/fuzz_/)'

# hours of calls with media in both directions; memory and sockets must not grow
soak minutes="240" rate="20": build-server
    PATCHCORD_SOAK_SECONDS=$(({{ minutes }} * 60)) PATCHCORD_SOAK_RATE={{ rate }} cargo nextest run --locked {{ with-server }} --profile soak --run-ignored only -E 'package(e2e) & test(/^soak::/)'

# the soak as continuous integration runs it; half of it is longer than the 32 s of a SIP transaction
soak-smoke: build-server
    PATCHCORD_SOAK_SECONDS=80 PATCHCORD_SOAK_RATE=50 cargo nextest run --locked {{ with-server }} --profile soak --run-ignored only -E 'package(e2e) & test(/^soak::/)'

# kill -9 at many points of many calls and messages; after a restart, no record, callback, BYE or recording may be missing
kill rounds="20": build-server
    PATCHCORD_KILLS={{ rounds }} cargo nextest run --locked {{ with-server }} --profile long --run-ignored only -E 'package(e2e) & test(/^(kill|shared|smpp)::/)'

# floods and exhaustion of resources during ordinary calls, longer than in the suite; with a release build, because times are compared
attack seconds="20":
    cargo build --locked --quiet --release --package patchcord
    PATCHCORD_BIN={{ CARGO_TARGET_DIR }}/release/patchcord PATCHCORD_ATTACK_SECONDS={{ seconds }} cargo nextest run --locked {{ with-server }} --profile long --run-ignored all -E 'package(e2e) & test(/^attack::/)'

# guess codes and pump texts through the API; no more guesses are compared, and no more codes sent, than the limits allow
guess count="100000":
    PATCHCORD_GUESSES={{ count }} cargo nextest run --locked --package api --profile long --success-output immediate -E 'test(/^verify_attack::/)'

# thousands of generated requests; every answer must agree with the OpenAPI documents
schemathesis: build-server
    cargo nextest run --locked {{ with-server }} --profile long --run-ignored only -E 'package(e2e) & test(/^schema::/)'

# a receiver of callbacks is down for a minute; it must miss none, and calls must be set up as fast as without the outage
outage seconds="60": build-server
    PATCHCORD_OUTAGE_SECONDS={{ seconds }} cargo nextest run --locked {{ with-server }} --profile long --run-ignored only -E 'package(e2e) & test(/^outage::/)'

# bridged calls with real RTP, compared with a bare relay in the same run
bench-bridge *args:
    cargo build --locked --quiet --release --package patchcord
    PATCHCORD_BIN={{ CARGO_TARGET_DIR }}/release/patchcord cargo run --locked --quiet --release --package e2e --bin bench-bridge -- {{ args }}

# participants of one conference with real RTP, compared with a bare relay in the same run
bench-conference *args:
    cargo build --locked --quiet --release --package patchcord
    PATCHCORD_BIN={{ CARGO_TARGET_DIR }}/release/patchcord cargo run --locked --quiet --release --package e2e --bin bench-conference -- {{ args }}

# CPU time of 500 rooms without sound, and the sound of a room while 500 participants of others hang up at once
bench-rooms *args:
    cargo build --locked --quiet --release --package patchcord
    PATCHCORD_BIN={{ CARGO_TARGET_DIR }}/release/patchcord cargo run --locked --quiet --release --package e2e --bin bench-rooms -- {{ args }}

# bidirectional media streams (RTP to a WebSocket and back), compared with a bare relay in the same run
bench-stream *args:
    cargo build --locked --quiet --release --package patchcord
    PATCHCORD_BIN={{ CARGO_TARGET_DIR }}/release/patchcord cargo run --locked --quiet --release --package e2e --bin bench-stream -- {{ args }}

# calls with records, callbacks and trace, compared with a bare sipp in the same run
bench-calls *args:
    cargo build --locked --quiet --release --package patchcord
    PATCHCORD_BIN={{ CARGO_TARGET_DIR }}/release/patchcord cargo run --locked --quiet --release --package e2e --bin bench-calls -- {{ args }}

# text messages with receipts and callbacks through an SMPP link, compared with reading one over REST in the same run
bench-messages *args:
    cargo build --locked --quiet --release --package patchcord
    PATCHCORD_BIN={{ CARGO_TARGET_DIR }}/release/patchcord cargo run --locked --quiet --release --package e2e --bin bench-messages -- {{ args }}

# requests to the API with a million calls on record, compared with a bare handler that reads one row, on both databases
bench-api *args:
    cargo build --locked --quiet --release --package patchcord
    PATCHCORD_BIN={{ CARGO_TARGET_DIR }}/release/patchcord cargo bench --locked --quiet --package e2e --bench api -- {{ args }}

# build the stripped program, a .deb with a systemd unit, and a container file in dist/
package:
    packaging/build

# install the .deb in a fresh Debian, build the image, start the server in both (as root; mmdebstrap, buildah)
package-test: package
    packaging/test

# everything that takes too long to run on each change
nightly: check test (fuzz-smoke "120") attack kill outage soak package-test bench-bridge bench-conference bench-rooms bench-stream bench-calls bench-messages bench-api
    cargo deny --locked check advisories

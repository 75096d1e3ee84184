# Shared by every script: where build results and tools are. Source it; do not run it.
patchcord_cache="${XDG_CACHE_HOME:-$HOME/.cache}/patchcord"
export CARGO_TARGET_DIR="$patchcord_cache/target"
export PATH="$patchcord_cache/tools/bin:$PATH"
export CARGO_TERM_COLOR="${CARGO_TERM_COLOR:-never}"
export DEBIAN_FRONTEND=noninteractive

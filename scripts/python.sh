#!/usr/bin/env bash
# The Python package in an environment of its own: built, tested against the command, its notebook executed.
#   bash scripts/python.sh [FOLDER]     (default: a temporary one, which is removed)
set -euo pipefail
cd "$(dirname "$0")/.."

folder=${1:-$(mktemp -d)}
[[ $# -gt 0 ]] || trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet "./python[test]"
cargo build --release
PHANTOM_GPU="$(realpath "${CARGO_TARGET_DIR:-target}")/release/phantom-gpu" \
    "$folder/bin/python" -m pytest -q python/tests
"$folder/bin/python" - <<'PYTHON'
import nbclient, nbformat

book = nbformat.read("python/examples/l1_study.ipynb", as_version=4)
nbclient.NotebookClient(book, timeout=600).execute()
print("the notebook runs to its end")
PYTHON

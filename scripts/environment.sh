# Sourced by scripts/quickstart and scripts/test: makes .venv once, reuses it until what it is made from changes.
# Sets PATH so that `python` and `expert-kit` are those of .venv.

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cd "$root"

find_python() {
    for candidate in "${PYTHON:-}" python3.11 python3.12 python3.13 python3; do
        if [ -n "$candidate" ] && "$candidate" -c 'import sys; raise SystemExit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo "expert-kit needs Python 3.11 or newer; install it, or name one with PYTHON=" >&2
    exit 1
}

make_environment() {
    local wanted
    wanted="$(cat pyproject.toml scripts/constraints.txt | cksum)"
    if [ "$(cat .venv/made-from 2>/dev/null)" = "$wanted" ]; then
        return
    fi
    local python
    python="$(find_python)"
    [ -x .venv/bin/python ] || "$python" -m venv .venv
    # Torch first, at the version that is tested, so that no dependency chooses another one. Where pip would take a CUDA
    # build, TORCH_PIP_ARGS can name the index of the CPU builds.
    echo "installing torch (CPU) and the project into .venv, once; this takes some minutes" >&2
    # Python compiles what is imported when it is; pip would compile all of the thousands of files that came along.
    local pip=(.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-compile)
    # shellcheck disable=SC2086 - several words
    "${pip[@]}" ${TORCH_PIP_ARGS:-} "torch==2.13.0"
    "${pip[@]}" --constraint scripts/constraints.txt --editable '.[dev,encoder,language,recipes]'
    echo "$wanted" > .venv/made-from
}

make_environment
export PATH="$root/.venv/bin:$PATH"

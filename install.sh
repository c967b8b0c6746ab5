#!/bin/sh
# Install sbatch-shim: choose a Python, which makes an environment and hands over to `sarray install`.
set -eu

usage() {
    cat <<'EOF'
usage: ./install.sh [--prefix DIR] [--python PATH] [--wheels DIR] [--no-modify-path] [--modulefile DIR] [--demo]
       ./install.sh [--prefix DIR] --uninstall

  --prefix DIR      where to install (default: ~/.local/share/sbatch-shim)
  --python PATH     the Python to use, 3.9 or newer (default: python3; for root the system's)
  --wheels DIR      take all packages from this folder, without a network (docs/installing.md tells how to fill it)
  --no-modify-path  leave the shell's start-up files alone; source PREFIX/env.sh yourself (root's are never changed)
  --modulefile DIR  write an environment module DIR/sbatch-shim/VERSION instead of lines in start-up files
  --demo            install, then queue and flush a small sample pipeline (leaves start-up files alone)
  --uninstall       remove exactly what was installed; refuses while calls are queued
EOF
}

die() {
    echo "install.sh: $*" >&2
    exit 1
}

is_usable() {
    "$1" -I -c 'import sys; sys.exit(sys.version_info < (3, 9))' 2>/dev/null &&
        { command -v uv >/dev/null 2>&1 || "$1" -I -c 'import venv, ensurepip' 2>/dev/null; }
}

# For root the system's, which everybody can read; else the first on PATH.
default_python() {
    if [ "$(id -u)" = 0 ]; then
        for candidate in python3 python3.14 python3.13 python3.12 python3.11 python3.10 python3.9; do
            if [ -x "/usr/bin/$candidate" ] && is_usable "/usr/bin/$candidate"; then
                echo "/usr/bin/$candidate"
                return
            fi
        done
    fi
    command -v python3
}

# All words but --python PATH go on as they are.
python=
count=$#
while [ "$count" -gt 0 ]; do
    word=$1
    shift
    count=$((count - 1))
    case $word in
    --python)
        [ "$count" -gt 0 ] || die "--python needs a value"
        python=$1
        shift
        count=$((count - 1))
        ;;
    --python=*) python=${word#--python=} ;;
    -h | --help) usage && exit 0 ;;
    *) set -- "$@" "$word" ;;
    esac
done
source=$(cd "$(dirname "$0")" && pwd)
python=${python:-$(default_python)} || die "no python3 was found; say which with --python PATH"
python=$(command -v "$python") || die "no such Python; say which with --python PATH"
"$python" -I -c 'import sys; sys.exit(sys.version_info < (3, 9))' || die "$python is older than Python 3.9"
exec "$python" -I -B -c 'import sys
sys.path.insert(0, sys.argv.pop(1))
from sbatch_shim.setup.bootstrap import main
main()' "$source" "$@"

#!/bin/sh
# Install sbatch-shim: a private virtual environment, and a folder of shims to put first on PATH.
set -eu

usage() {
    cat <<'EOF'
usage: ./install.sh [--prefix DIR] [--python PATH] [--no-modify-path] [--modulefile DIR] [--demo] [--uninstall]

  --prefix DIR      where to install (default: ~/.local/share/sbatch-shim)
  --python PATH     the Python to use, 3.9 or newer (default: python3; for root the system's)
  --no-modify-path  leave the shell's start-up files alone; source PREFIX/env.sh yourself (root's are never changed)
  --modulefile DIR  write an environment module DIR/sbatch-shim/VERSION instead of a line in start-up files
  --demo            install, then queue and flush a small sample pipeline (leaves the rc file alone)
  --uninstall       remove exactly what was installed; refuses while calls are queued
EOF
}

die() {
    echo "install.sh: $*" >&2
    exit 1
}

# Run a Python as a user who is nobody. 77: that cannot be tried here, for instance in a container.
as_nobody() {
    "$python" -I -c '
import os, sys
try:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
except OSError:
    sys.exit(77)
try:
    os.chdir("/")
    if sys.argv[1] == "enter":
        os.stat(sys.argv[2] + "/.")
    else:
        os.execv(sys.argv[1], sys.argv[1:])
except OSError:
    sys.exit(1)
' "$@" >/dev/null 2>&1 </dev/null
}

# Where root installs, others run it: can they, with this Python? Not asked where nobody else can go to the prefix.
usable_by_others() {
    as_nobody "$1" -I -c "$2" || [ $? = 77 ]
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

# Whether others are to use this installation: it is root's, outside of root's home, and they can go there.
is_for_others() {
    [ "$(id -u)" = 0 ] || return 1
    case $prefix in
    "${HOME:-/nowhere}"/*) return 1 ;;
    esac
    nearest=$prefix
    while [ ! -d "$nearest" ]; do
        nearest=$(dirname "$nearest")
    done
    as_nobody enter "$nearest"
}

make_venv() {
    # Same Python, same sources: nothing to do. Another version gets a folder of its own, so that pipelines go on meanwhile.
    stamp=$({
        "$python" -c 'import sys; print(sys.version)'
        cd "$source" && find pyproject.toml sbatch_shim -type f ! -name '*.pyc' -exec cksum {} + | LC_ALL=C sort
    } | cksum | tr ' ' -)
    venv=$prefix/venvs/$stamp
    if [ -e "$venv/complete" ]; then
        return
    fi
    mkdir -p "$prefix/venvs"
    # Build away from the sources: they may be read-only, and must not change.
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    cp -R "$source/pyproject.toml" "$source/README.md" "$source/LICENSE" "$source/sbatch_shim" "$work/"
    if command -v uv >/dev/null 2>&1; then
        if ! uv venv --quiet --clear --python "$python" "$venv" ||
            ! uv pip install --quiet --python "$venv/bin/python" "$work"; then
            die "uv could not install into $venv"
        fi
    else
        "$python" -m venv --clear "$venv" ||
            die "$python cannot make a virtual environment (Debian: apt-get install python3-venv)"
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "$work" 2>"$work/pip.log" || {
            cat "$work/pip.log" >&2
            die "pip could not install into $venv"
        }
    fi
    # Without compiled files each call of a read-only installation would compile again.
    "$venv/bin/python" -m compileall -q "$venv"/lib/python*/site-packages/sbatch_shim || true
    : >"$venv/complete"
}

main() {
    prefix=
    python=
    demo=
    uninstall=
    set_path=
    module=
    while [ $# -gt 0 ]; do
        case $1 in
        --prefix | --python | --modulefile)
            [ $# -ge 2 ] || die "$1 needs a value"
            case $1 in
            --prefix) prefix=$2 ;;
            --python) python=$2 ;;
            --modulefile) module=$2 ;;
            esac
            shift
            ;;
        --no-modify-path) set_path=--no-modify-path ;;
        --demo) demo=1 ;;
        --uninstall) uninstall=1 ;;
        -h | --help) usage && exit 0 ;;
        *) usage >&2 && die "unknown option $1" ;;
        esac
        shift
    done
    umask 022
    if [ -z "$prefix" ]; then
        [ -n "${HOME:-}" ] || die "HOME is not set; say where to install with --prefix DIR"
        # `su` and `sudo -E` keep it: folders there would become root's.
        [ -n "$uninstall" ] || [ ! -e "$HOME" ] || [ -O "$HOME" ] ||
            die "the home folder $HOME is not yours; install as its user, or say where with --prefix DIR"
        prefix=$HOME/.local/share/sbatch-shim
    fi
    case $prefix in
    /*) ;;
    *) prefix=$PWD/$prefix ;;
    esac
    case $prefix in
    *[:=\'\"\\\`\$]* | *"
"*) die "the prefix may not hold any of : = ' \" \\ \` \$ or a line end, because it goes into PATH and scripts" ;;
    esac
    source=$(cd "$(dirname "$0")" && pwd)
    if [ -n "$uninstall" ]; then
        [ -x "$prefix/venv/bin/python" ] || die "nothing is installed in $prefix"
        "$prefix/venv/bin/python" -I -m sbatch_shim.setup.install --prefix "$prefix" --uninstall
        return
    fi
    python=${python:-$(default_python)} || die "no python3 was found; say which with --python PATH"
    python=$(command -v "$python") || die "no such Python; say which with --python PATH"
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 9))' || die "$python is older than Python 3.9"
    [ -z "$demo" ] || set_path=--no-modify-path
    shared=
    if is_for_others; then
        shared=1
        usable_by_others "$python" 'import encodings, venv' ||
            die "$python cannot be run by other users, who could not use $prefix then;" \
                "choose a Python that everybody can read with --python PATH (nothing was installed)"
    fi
    make_venv
    if [ -n "$shared" ] && ! usable_by_others "$venv/bin/python" 'import sbatch_shim.shim, sbatch_shim.flush.cli'; then
        [ "$(readlink "$prefix/venv" || true)" = "venvs/$stamp" ] || rm -rf "$venv"
        die "other users cannot run what was installed in $venv; choose a Python and a prefix that everybody can read"
    fi
    set -- --prefix "$prefix"
    [ -z "$set_path" ] || set -- "$@" "$set_path"
    [ -z "$module" ] || set -- "$@" --modulefile "$module"
    "$venv/bin/python" -I -m sbatch_shim.setup.install "$@"
    before=$(readlink "$prefix/venv" || true)
    if [ "$before" != "venvs/$stamp" ]; then
        ln -sfn "venvs/$stamp" "$prefix/venv.new"
        mv -T "$prefix/venv.new" "$prefix/venv"
        # The one before stays until the next time, for what runs now.
        for old in "$prefix"/venvs/*; do
            [ "$old" = "$venv" ] || [ "$old" = "$prefix/$before" ] || rm -rf "$old"
        done
    fi
    if [ -n "$demo" ]; then
        "$prefix/venv/bin/python" -I -m sbatch_shim.setup.demo "$prefix"
    fi
}

main "$@"

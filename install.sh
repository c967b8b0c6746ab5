#!/bin/sh
# Install sbatch-shim: a private virtual environment, and a folder of shims to put first on PATH.
set -eu

usage() {
    cat <<'EOF'
usage: ./install.sh [--prefix DIR] [--python PATH] [--no-modify-path] [--modulefile DIR] [--demo] [--uninstall]

  --prefix DIR      where to install (default: ~/.local/share/sbatch-shim)
  --python PATH     the Python to use, 3.9 or newer (default: python3)
  --no-modify-path  leave the shell's rc file alone; source PREFIX/env.sh yourself
  --modulefile DIR  also write an environment module DIR/sbatch-shim
  --demo            install, then queue and flush a small sample pipeline (leaves the rc file alone)
  --uninstall       remove exactly what was installed; refuses while calls are queued
EOF
}

die() {
    echo "install.sh: $*" >&2
    exit 1
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
    cp -R "$source/pyproject.toml" "$source/README.md" "$source/sbatch_shim" "$work/"
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
    python=${python:-python3}
    python=$(command -v "$python") || die "no such Python; say which with --python PATH"
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 9))' || die "$python is older than Python 3.9"
    [ -z "$demo" ] || set_path=--no-modify-path
    make_venv
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

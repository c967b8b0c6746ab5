# shellcheck shell=bash
# What pipelines share; sourced as `. "$TOOLS/lib.sh"`.

flush() { # submit what is queued, where the pipeline is run queued
    [ -z "${SARRAY_MODE-}" ] || sarray-flush --session differential >/dev/null 2>&1
}

declare -A tries=()
again() { # in `until COMMAND; do again || break; done`: wait a moment, for three minutes at most
    sleep 0.1
    ((++tries[${BASH_LINENO[0]}] < 1800)) && return
    echo "gave up at line ${BASH_LINENO[0]} of ${BASH_SOURCE[1]##*/}" >&2
    return 1
}

# Sourced by `sarray listen` in fish.
set -gx PATH (string split : -- $SARRAY_LISTEN_PATH)
set -e SARRAY_LISTEN_PATH
functions -c fish_prompt sarray_prompt
function fish_prompt
    set_color -o yellow
    echo -n '[sarray] '
    set_color normal
    sarray_prompt
end
function sarray
    command sarray $argv; or return
    test -e $SARRAY_LISTEN/ended; and exit 0
    return 0
end

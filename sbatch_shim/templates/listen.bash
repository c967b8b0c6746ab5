# shellcheck shell=bash
# The rc file of `sarray listen` in bash.
# shellcheck disable=SC1090
[ -f ~/.bashrc ] && . ~/.bashrc
PATH=$SARRAY_LISTEN_PATH
unset SARRAY_LISTEN_PATH
sarray() {
    command sarray "$@" || return
    [ ! -e "$SARRAY_LISTEN/ended" ] || exit 0
}
# Before each prompt: many themes write it anew.
sarray_prompt() {
    [[ $PS1 == *'[sarray]'* ]] || PS1='\[\e[1;33m\][sarray]\[\e[0m\] '$PS1
}
if [[ $(declare -p PROMPT_COMMAND 2>/dev/null) == 'declare -a'* ]]; then
    PROMPT_COMMAND+=(sarray_prompt)
else
    PROMPT_COMMAND=${PROMPT_COMMAND:+$PROMPT_COMMAND$'\n'}sarray_prompt
fi

# sbatch-shim {{ version }}: put the shims first on PATH (written by install.sh or sarray install, which also remove it)
# For any POSIX shell and zsh, as often as one likes: a login shell may have put the site's folders before them.
case ${PATH-} in
{{ shims }} | {{ shims }}:*) ;;
*)
    PATH=${PATH:+:$PATH}:
    while :; do
        case $PATH in
        *:{{ shims }}:*) PATH=${PATH%%:{{ shims }}:*}:${PATH#*:{{ shims }}:} ;;
        *) break ;;
        esac
    done
    PATH={{ shims }}${PATH%:}
    ;;
esac
export PATH

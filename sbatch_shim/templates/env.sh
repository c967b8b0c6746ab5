# sbatch-shim {{ version }}: put the shims first on PATH (written by install.sh, which also removes it)
case ":$PATH:" in
*:{{ shims }}:*) ;;
*) PATH={{ shims }}:$PATH ;;
esac
export PATH

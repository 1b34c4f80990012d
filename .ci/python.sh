# Sourced. Prints the path of an interpreter of a version, from the PATH or from pyenv: find_python 3.12
find_python() {
    local candidate
    for candidate in "$(command -v "python$1" || true)" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$1".*/bin/python; do
        # pyenv puts a `python3.12` on the PATH that only says how to choose a version.
        if [ -x "$candidate" ] && "$candidate" -c 'import ensurepip, ssl, sqlite3' 2>/dev/null; then
            echo "$candidate"
            return 0
        fi
    done
    return 1
}

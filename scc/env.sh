# What every shell and job on the cluster needs; source it in bash, do not run it:
#     source scc/env.sh
# Change the five lines below to yours once, then open a new shell. A variable that is set already
# wins, as in: SCC_TERM=fall-2026 source scc/env.sh

_xray_environment() {
    local project="${SCC_PROJECT:-your-project}"
    local term="${SCC_TERM:-spring-2026}"
    # The folder in the project's space for whatever the kit writes.
    local space="${XRAY_SPACE:-/projectnb/${project}/${USER:-$(id -un)}/xray}"
    # The modules to load; on a cluster without modules: ${XRAY_MODULES-}
    local modules="${XRAY_MODULES-miniconda academic-ml/${term}}"
    # A conda environment (name or folder) or a virtual environment (folder). Empty: env or venv in
    # the space where there is one, else the term's.
    local environment="${SCC_ENV:-}"

    _xray_folders "${project}" "${space}" || return 1
    _xray_threads
    _xray_modules "${modules}" || return 1
    _xray_activate "${environment:-$(_xray_own "${space}" || echo "${term}-tf")}" || return 1
    export XRAY_MODULES="${modules}"
    # Which GPU is ours, the scheduler says; nothing here changes it.
}

# Home holds 10 GB, and all of this would fill it.
_xray_folders() {
    local project="$1" space="$2"
    case "${space}" in */your-project/*)
        _xray_wrong "write your project's name in place of your-project into scc/env.sh."
        return 1 ;;
    esac
    case "${space}" in /*) ;; *) space="${PWD}/${space}" ;; esac
    if ! mkdir -p "${space}" 2>/dev/null || [ ! -w "${space}" ]; then
        _xray_wrong "${space} cannot be written; name a folder of yours in the line with" \
            "XRAY_SPACE in scc/env.sh."
        return 1
    fi
    [ "${project}" = your-project ] || export SCC_PROJECT="${project}"
    export XRAY_SPACE="${space}"
    export XRAY_RUNS="${XRAY_RUNS:-${space}/runs}"
    export XRAY_CACHE="${XRAY_CACHE:-${space}/cache}"
    export KERAS_HOME="${KERAS_HOME:-${space}/keras}"
    export MPLCONFIGDIR="${MPLCONFIGDIR:-${space}/matplotlib}"
    export CUDA_CACHE_PATH="${CUDA_CACHE_PATH:-${space}/cuda}"
    export PIP_CACHE_DIR="${PIP_CACHE_DIR:-${space}/pip}"
    export CONDA_PKGS_DIRS="${CONDA_PKGS_DIRS:-${space}/conda}"
    # `pip install --user`, and the commands that it installs.
    export PYTHONUSERBASE="${PYTHONUSERBASE:-${space}/python}"
    case ":${PATH}:" in
        *":${PYTHONUSERBASE}/bin:"*) ;;
        *) PATH="${PATH}:${PYTHONUSERBASE}/bin" ;;
    esac
    # Without pictures in the space, data/ in the kit's folder or drawn pictures are used.
    if [ -d "${XRAY_DATA:-${space}/data}/two" ]; then
        export XRAY_DATA="${XRAY_DATA:-${space}/data}"
    fi
}

# Threads for the job's slots, not for all cores of the node.
_xray_threads() {
    [ -n "${NSLOTS:-}" ] || return 0
    export OMP_NUM_THREADS="${NSLOTS}" TF_NUM_INTRAOP_THREADS="${NSLOTS}" TF_NUM_INTEROP_THREADS=2
}

_xray_modules() {
    [ -n "$1" ] || return 0
    if ! type module >/dev/null 2>&1; then
        _xray_wrong "there is no command module in this shell; begin job scripts with" \
            "'#!/bin/bash -l', or leave the modules in scc/env.sh empty where a cluster has none."
        return 1
    fi
    # Unquoted: one word a module.
    if ! module load $1; then
        _xray_wrong "'module load $1' failed; write the modules that your cluster has" \
            "(module avail) into scc/env.sh."
        return 1
    fi
}

# The kit's own environment, where it was made as scc/ondemand.md says.
_xray_own() {
    local folder
    for folder in "$1/env" "$1/venv"; do
        [ -d "${folder}" ] && echo "${folder}" && return 0
    done
    return 1
}

_xray_activate() {
    if [ -f "$1/bin/activate" ] && [ ! -d "$1/conda-meta" ]; then  # virtual: needs no conda
        source "$1/bin/activate"
        return
    fi
    if ! type conda >/dev/null 2>&1; then
        _xray_wrong "$1 needs conda, which is not here; name its module, or a virtual" \
            "environment's folder as SCC_ENV, in scc/env.sh."
        return 1
    fi
    # A conda that is only a program cannot change this shell; its hook makes a function of it.
    [ "$(type -t conda)" = function ] || eval "$(conda shell.bash hook)"
    if ! conda activate "$1"; then
        _xray_wrong "there is no environment $1; make one (scc/ondemand.md, step 2), or name" \
            "yours as SCC_ENV in scc/env.sh."
        return 1
    fi
}

_xray_wrong() {
    echo "scc/env.sh: $*" >&2
}

# Modules and environments bring scripts that read variables nobody has set: `set -u` waits.
_xray_source() {
    local outcome=0
    case "$-" in
        *u*) set +u; _xray_environment || outcome=$?; set -u ;;
        *) _xray_environment || outcome=$? ;;
    esac
    unset -f _xray_environment _xray_folders _xray_threads _xray_modules _xray_own _xray_activate \
        _xray_wrong _xray_source
    return "${outcome}"
}

if [ "${BASH_SOURCE:-}" = "$0" ]; then
    echo "scc/env.sh: run like this it changes nothing; type: source scc/env.sh" >&2
    exit 2
fi
_xray_source

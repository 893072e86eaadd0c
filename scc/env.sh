# What every shell and job on the cluster needs; source it in bash, do not run it:
#     source scc/env.sh
# Change these to yours once. A variable that is set already wins: SCC_TERM=fall-2026 source …
SCC_PROJECT="${SCC_PROJECT:-your-project}"
SCC_TERM="${SCC_TERM:-spring-2026}"
XRAY_SPACE="${XRAY_SPACE:-/projectnb/${SCC_PROJECT}/${USER:-$(id -un)}/xray}"

case "${XRAY_SPACE}" in */your-project/*)
    echo "scc/env.sh: set SCC_PROJECT in this file to the name of your project." >&2
    return 1 ;;
esac
if ! mkdir -p "${XRAY_SPACE}"; then
    echo "scc/env.sh: set XRAY_SPACE to a folder in the project's space that you may write." >&2
    return 1
fi

# Home holds 10 GB, and all of this would fill it.
export SCC_TERM XRAY_SPACE
export XRAY_RUNS="${XRAY_RUNS:-${XRAY_SPACE}/runs}"
export XRAY_CACHE="${XRAY_CACHE:-${XRAY_SPACE}/cache}"
export KERAS_HOME="${KERAS_HOME:-${XRAY_SPACE}/keras}"
export PIP_CACHE_DIR="${PIP_CACHE_DIR:-${XRAY_SPACE}/pip}"
export CONDA_PKGS_DIRS="${CONDA_PKGS_DIRS:-${XRAY_SPACE}/conda}"
export PYTHONUSERBASE="${PYTHONUSERBASE:-${XRAY_SPACE}/python}"
mkdir -p "${XRAY_RUNS}" "${XRAY_CACHE}" "${KERAS_HOME}/models"
# Without the class's pictures in the project's space, data/ or drawn pictures are used.
if [ -d "${XRAY_DATA:-${XRAY_SPACE}/data}/two" ]; then
    export XRAY_DATA="${XRAY_DATA:-${XRAY_SPACE}/data}"
fi

# The kit's own conda environment where there is one, else the term's.
if [ -z "${SCC_ENV:-}" ]; then
    SCC_ENV="${SCC_TERM}-tf"
    [ -d "${XRAY_SPACE}/env" ] && SCC_ENV="${XRAY_SPACE}/env"
fi
module load miniconda "academic-ml/${SCC_TERM}" || return 1
conda activate "${SCC_ENV}" || return 1

# Threads for the job's slots, not for all cores of the node.
if [ -n "${NSLOTS:-}" ]; then
    export OMP_NUM_THREADS="${NSLOTS}" TF_NUM_INTRAOP_THREADS="${NSLOTS}" TF_NUM_INTEROP_THREADS=2
fi
# Which GPU is ours, the scheduler says; nothing here changes it.

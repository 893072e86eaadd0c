"""An ordinary user of the cluster: an account, a Python, a copy of the project, and the space.

All of it lies in one folder, and is kept for the next time but for the copy of the project and the
runs. To be rid of it: `userdel xray-student` and delete the folder.
"""

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from single_node import Unavailable

ROOT = Path(__file__).resolve().parents[2]
NAME = "xray-student"
PARTS = ("notebooks", "scc", "xray_helpers")  # of the project, what a job needs
# In the user's Python: each process says which GPU it was given, and in which job.
SAYS_GPU = """\
import os
from pathlib import Path

if "JOB_ID" in os.environ:
    folder = Path(os.environ["XRAY_SPACE"]) / "gpu"
    folder.mkdir(exist_ok=True)
    job = f"{os.environ['JOB_ID']}.{os.environ['SGE_TASK_ID']}.{os.getpid()}"
    (folder / job).write_text(os.environ.get("CUDA_VISIBLE_DEVICES", "none"))
"""


class Student:
    """The user, and what belongs to it.

    Attributes:
        project: its copy of the project.
        space: its folder in the "project's space": runs, caches.
    """

    def __init__(self, folder: Path) -> None:
        """Make what is missing below `folder`.

        Raises:
            Unavailable: this Python's packages cannot be read by other users.
        """
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)
        self.home, self.project = folder / "home", folder / "project"
        self.space, self.environment = folder / "space", folder / "env"
        if subprocess.run(["id", NAME], capture_output=True).returncode:
            make = ["useradd", "--create-home", "--home-dir", self.home, "--shell", "/bin/bash"]
            subprocess.run([*make, NAME], check=True)
        self._copy_project()
        self._make_environment(folder / "python")
        shutil.rmtree(self.space / "runs", ignore_errors=True)
        shutil.rmtree(self.space / "gpu", ignore_errors=True)
        self.space.mkdir(exist_ok=True)
        for path in (self.project, self.space):
            subprocess.run(["chown", "--recursive", f"{NAME}:", path], check=True)
        done = self.run("python -c 'import filelock, numpy, xray_helpers'")
        if done.returncode:
            raise Unavailable(f"the user cannot use this Python: {done.stderr.strip()[-200:]}")

    def run(self, command: str, **variables: str) -> subprocess.CompletedProcess:
        """Run a line of bash in the project's folder, as after a log-in and `scc/env.sh`."""
        environment = {
            "HOME": str(self.home),
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            # A cluster with neither modules nor conda.
            "XRAY_MODULES": "",
            "SCC_ENV": str(self.environment),
            "XRAY_SPACE": str(self.space),
            "OMP_NUM_THREADS": "1",
            **variables,
        }
        words = [f"{name}={value}" for name, value in environment.items()]
        line = f"source scc/env.sh && {command}"
        as_student = ["runuser", "--user", NAME, "--", "env", "--ignore-environment", *words]
        return subprocess.run(
            [*as_student, "bash", "-c", line],
            cwd=self.project,
            capture_output=True,
            text=True,
            timeout=120,
        )

    def _copy_project(self) -> None:
        shutil.rmtree(self.project, ignore_errors=True)
        for part in PARTS:
            shutil.copytree(
                ROOT / part, self.project / part, ignore=shutil.ignore_patterns("__pycache__", ".*")
            )

    def _make_environment(self, copy: Path) -> None:
        """A virtual environment with the packages of the one that runs the tests."""
        shutil.rmtree(self.environment, ignore_errors=True)
        base = Path(sys.base_prefix)
        libraries = {}
        if not self._may_read(base):  # root's own Python
            if not copy.exists():
                left_out = shutil.ignore_patterns("site-packages", "test")
                shutil.copytree(base, copy, symlinks=True, ignore=left_out)
            base, libraries = copy, {"LD_LIBRARY_PATH": str(copy / "lib")}
        python = base / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
        subprocess.run(
            [python, "-m", "venv", "--without-pip", self.environment],
            env={**os.environ, **libraries},
            check=True,
        )
        with (self.environment / "bin" / "activate").open("a", encoding="utf-8") as activate:
            for name, value in libraries.items():
                activate.write(f"export {name}={shlex.quote(value)}\n")
        here = sysconfig.get_path("purelib")
        there = next((self.environment / "lib").glob("python*")) / "site-packages"
        (there / "kit.pth").write_text(f"{self.project}\n{here}\n", encoding="utf-8")
        (there / "sitecustomize.py").write_text(SAYS_GPU, encoding="utf-8")
        command = self.environment / "bin" / "xray"
        command.write_text(
            f"#!{self.environment}/bin/python\nfrom xray_helpers.cli import main\n\nmain()\n",
            encoding="utf-8",
        )
        command.chmod(0o755)

    def _may_read(self, folder: Path) -> bool:
        look = ["runuser", "--user", NAME, "--", "test", "-r", str(folder / "bin")]
        return subprocess.run(look, capture_output=True).returncode == 0

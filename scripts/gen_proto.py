"""Generate the gRPC stubs in ``src/parley/rpc/gen`` from ``proto/``.

Run it after every change of the contract; ``--check`` fails when what is committed is not what
the contract says. Imports are rewritten so that the stubs form a package of their own.

Stubs run with the version that made them and every later one, never with an earlier one. So they are made by an old
compiler, in an environment of its own: who has programs beside Parley that hold protobuf back can still install it.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROTO = ROOT / "proto"
SOURCE = Path("parley/tts/v1/tts.proto")
TARGET = ROOT / "src" / "parley" / "rpc" / "gen"
NAMES = ("tts_pb2.py", "tts_pb2.pyi", "tts_pb2_grpc.py")
COMPILER = "1.74.0"
"""Of grpcio-tools: makes stubs for protobuf 6.31 and grpcio 1.74, the floors in pyproject.toml."""
COMPILE = """
import sys
from importlib import resources
from grpc_tools import protoc
sys.exit(protoc.main(["protoc", f"-I{resources.files('grpc_tools') / '_proto'}", *sys.argv[1:]]))
"""
PACKAGE_DOC = '"""Generated from proto/parley/tts/v1/tts.proto by scripts/gen_proto.py; do not edit."""\n'


def generate() -> dict[str, str]:
    """Return the text of every generated file by name."""
    with tempfile.TemporaryDirectory() as folder:
        outputs = [f"--{kind}_out={folder}" for kind in ("python", "pyi", "grpc_python")]
        tools = ("uv", "run", "--quiet", "--isolated", "--no-project", "--with", f"grpcio-tools=={COMPILER}", "python")
        try:
            subprocess.run([*tools, "-c", COMPILE, f"-I{PROTO}", *outputs, str(PROTO / SOURCE)], check=True)
        except FileNotFoundError:
            raise SystemExit("The stubs are compiled in an environment that uv makes: install uv.") from None
        except subprocess.CalledProcessError as failure:
            raise SystemExit(failure.returncode) from None
        made = Path(folder) / SOURCE.parent
        files = {name: _self_contained((made / name).read_text(encoding="utf-8")) for name in NAMES}
    return {"__init__.py": PACKAGE_DOC, **files}


def _self_contained(text: str) -> str:
    """Import the sibling module relatively: ``parley.tts.v1`` is a proto package, not one of ours."""
    return re.sub(r"^from parley\.tts\.v1 import", "from parley.rpc.gen import", text, flags=re.MULTILINE)


def main() -> int:
    """Write the stubs, or compare them with what is there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 when the stubs are out of date")
    check = parser.parse_args().check
    stale = []
    TARGET.mkdir(parents=True, exist_ok=True)
    for name, text in generate().items():
        path = TARGET / name
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(name)
        if not check:
            path.write_text(text, encoding="utf-8")
    if check and stale:
        print(f"out of date: {', '.join(stale)}; run python scripts/gen_proto.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

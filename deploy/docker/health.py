"""Whether the process of this container can be used: exit code 0 when it can, 1 and a sentence when it cannot.

python health.py orchestrator    GET /health
python health.py worker          grpc.health.v1, or a connection where the worker speaks TLS
"""

from __future__ import annotations

import os
import socket
import ssl
import sys
import urllib.error
import urllib.request

TIMEOUT = 3.0
HOST = "127.0.0.1"


def orchestrator() -> str:
    """What is wrong with the orchestrator here; "" for nothing."""
    secure = bool(os.environ.get("PARLEY_SERVER__TLS_CERT"))
    port = int(os.environ.get("PARLEY_SERVER__PORT", "8080"))
    context = ssl.create_default_context()
    context.check_hostname = False  # it is asked by an address that its certificate does not name
    context.verify_mode = ssl.CERT_NONE
    address = f"{'https' if secure else 'http'}://{HOST}:{port}/health"
    try:
        with urllib.request.urlopen(address, timeout=TIMEOUT, context=context if secure else None):  # noqa: S310
            return ""
    except urllib.error.HTTPError as error:
        return f"It answers {error.code}: {error.read(2000).decode(errors='replace')}"
    except OSError as error:
        return f"It does not answer: {error}."


def worker() -> str:
    """What is wrong with the worker here; "" for nothing."""
    port = int(os.environ.get("PARLEY_WORKER__PORT", "50051"))
    if os.environ.get("PARLEY_WORKER__TLS_CERT"):  # it may ask for a client's certificate, which is not here
        try:
            with socket.create_connection((HOST, port), TIMEOUT):
                return ""
        except OSError as error:
            return f"It takes no connection: {error}."
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    with grpc.insecure_channel(f"{HOST}:{port}") as channel:
        try:
            asked = health_pb2.HealthCheckRequest()
            status = health_pb2_grpc.HealthStub(channel).Check(asked, timeout=TIMEOUT).status
        except grpc.RpcError as error:
            return f"It does not answer: {error.code().name}."
    if status == health_pb2.HealthCheckResponse.SERVING:
        return ""
    return f"It says {health_pb2.HealthCheckResponse.ServingStatus.Name(status)}."


def main(role: str) -> int:
    """Look, say what is wrong, and return the exit code."""
    looks = {"orchestrator": orchestrator, "worker": worker}
    if role not in looks:
        print("Say orchestrator or worker.", file=sys.stderr)
        return 2
    wrong = looks[role]()
    if wrong:
        print(wrong, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else ""))

"""nginx before an installation, with the configuration that we give away."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import create_connection

CONFIGURATION = Path(__file__).parents[2] / "deploy/nginx/closecast.conf"
START_SECONDS = 60.0
AROUND = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
worker_processes 1;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {configuration}
}}
"""


def found() -> bool:
    """Whether there is an nginx to be run."""
    return shutil.which("nginx") is not None


@contextmanager
def before(api_port: int, port: int, folder: Path) -> Iterator[None]:
    """nginx at ``port``, without TLS, before the API at ``api_port``."""
    configuration = folder / "nginx.conf"
    configuration.write_text(AROUND.format(folder=folder, configuration=_without_tls(api_port, port)))
    command = ["nginx", "-e", str(folder / "error.log"), "-c", str(configuration)]
    with subprocess.Popen(command) as process:
        try:
            _wait_until_open(port)
            yield
        finally:
            process.terminate()


def _without_tls(api_port: int, port: int) -> str:
    lines = (line for line in CONFIGURATION.read_text().splitlines() if "ssl_" not in line)
    return (
        "\n".join(lines)
        .replace("127.0.0.1:8000", f"127.0.0.1:{api_port}")
        .replace("listen 443 ssl;", f"listen 127.0.0.1:{port};")
    )


def _wait_until_open(port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            create_connection(("127.0.0.1", port)).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return

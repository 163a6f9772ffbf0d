"""Commands in processes that have loaded the libraries already: at smoke scale most of a job's time goes there.

A server loads libraries, but nothing of the project, and forks itself for each command; what bash calls `entroscape` or
`pytest`, and Jupyter its Python, sends it the arguments, the folder, the environment and its own standard streams, and
ends as the command does.
"""

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

PROGRAMS = ("entroscape", "pytest")
LIBRARIES = (
    *("torch", "numba", "scipy.special", "xarray", "h5netcdf", "pandas", "pyarrow.parquet", "typer", "pydantic"),
    *("papermill", "nbconvert", "ipykernel.kernelapp", "seaborn", "scipy.stats"),
)


@contextmanager
def preloaded() -> Iterator[dict[str, str]]:
    """Variables with which bash takes its programs, and Jupyter the kernel of notebooks, to be what the server runs."""
    with TemporaryDirectory() as folder:  # where a path is short enough for a socket
        address, functions = Path(folder, "socket"), Path(folder, "functions.sh")
        command = [sys.executable, "-IS", __file__, "ask", str(address)]
        functions.write_text("".join(f'{name}() {{ {shlex.join(command)} {name} "$@"; }}\n' for name in PROGRAMS))
        kernel = {"argv": [*command, "kernel", "-f", "{connection_file}"], "display_name": "", "language": "python"}
        Path(folder, "kernels/python3").mkdir(parents=True)
        Path(folder, "kernels/python3/kernel.json").write_text(json.dumps(kernel))
        server = subprocess.Popen([sys.executable, __file__, "serve", str(address)], stdout=subprocess.PIPE)
        try:
            assert server.stdout and server.stdout.readline() == b"ready\n"
            yield {"BASH_ENV": str(functions), "JUPYTER_PATH": folder}
        finally:
            server.kill()
            server.wait()


def ask(address: str, command: list[str]) -> int:
    """Have the server run `entroscape` or a kernel; its exit status, 1 if it has died."""
    if command[0] == "kernel":
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Jupyter interrupts a kernel before it tells it to end
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(address)
        message = json.dumps({"command": command, "folder": str(Path.cwd()), "environment": dict(os.environ)})
        socket.send_fds(connection, [len(message).to_bytes(8, "big")], [0, 1, 2])
        connection.sendall(message.encode())
        return int(connection.recv(8) or b"1")


def serve(address: str) -> None:
    """Load the libraries, then fork for every command that is asked for."""
    for name in LIBRARIES:
        __import__(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the children
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen()
        print("ready", flush=True)
        while True:
            connection, _ = listening.accept()
            if os.fork() == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                _answer(connection)
            connection.close()


def _answer(connection: socket.socket) -> None:
    """Run the command that a client sends, and end."""
    length, streams, _, _ = socket.recv_fds(connection, 8, 3)
    message = json.loads(connection.makefile("rb").read(int.from_bytes(length, "big")))
    for stream, number in zip(streams, (0, 1, 2), strict=True):
        os.dup2(stream, number)
    os.chdir(message["folder"])
    os.environ.clear()
    os.environ.update(message["environment"])
    sys.argv = message["command"]
    sys.path[:0] = message["environment"].get("PYTHONPATH", "").split(os.pathsep)
    status = 1
    try:
        _run(sys.argv[0])
        status = 0
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:  # what else is raised is shown as Python does
        sys.stdout.flush()
        sys.stderr.flush()
        with suppress(BrokenPipeError):  # who asked for a kernel does not wait for its end
            connection.send(str(status).encode())
    os._exit(0)


def _run(program: str) -> None:
    """Run the program with the arguments in `sys.argv`."""
    if program == "kernel":
        from ipykernel.kernelapp import launch_new_instance as main
    elif program == "pytest":
        import pytest

        sys.exit(pytest.console_main())
    else:
        from entroscape.cli import main
    main()


if __name__ == "__main__":
    role, place, *rest = sys.argv[1:]
    if role == "ask":
        sys.exit(ask(place, rest))
    serve(place)

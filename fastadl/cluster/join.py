"""Joining a Ray cluster: one that lives as long as it is used, or one that is there already.

Ray is used by a process of its own. In this one it would write to standard output, take over signals, wait
minutes for a cluster that is not there, and end everything when it loses one.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from importlib import import_module
from typing import IO, Any, NamedTuple

import fastadl
from fastadl.cluster import child
from fastadl.errors import InputError

__all__ = ["BEAT", "PATIENCE", "Cluster", "check_version", "driver", "line", "scratch"]

#: Seconds in which a running cluster answers, in which Ray lets go, and between looks for Ctrl-C: polars lets
#: none interrupt a wait.
PATIENCE, STOPPING, BEAT = 8.0, 30.0, 0.2

#: Status of the process if no cluster answers.
_NO_ANSWER = 3

#: The longest folder in which the names of Ray's sockets are short enough, and one that always is.
_LONGEST, _SHORT = 24, "/tmp"


class Cluster(NamedTuple):
    """A cluster as the process that asks for it and the one that uses it know it.

    Attributes
    ----------
    address : str or None
        Of a running cluster, which is left running; None for one that is started on this machine and stopped.
    asked : tuple of str
        Argument and value by which Ray was asked for, where there is no address.
    folder : str
        For what Ray keeps while it runs, from `scratch`.
    patience : float
        Seconds in which a running cluster answers.
    """

    address: str | None
    asked: tuple[str, str]
    folder: str
    patience: float

    def knock(self) -> None:
        """Refuse an address where nobody listens."""
        if self.address is None:
            return
        host, _, port = self.address.removeprefix("ray://").rpartition(":")
        if not port.isdigit():
            return  # Ray may know what it means, or says that it does not
        try:
            socket.create_connection((host.strip("[]"), int(port)), self.patience).close()
        except (OSError, OverflowError, UnicodeError) as error:
            raise self.refused(str(error)) from None

    def refused(self, why: str) -> InputError:
        """The error of a cluster that cannot be worked with."""
        argument, value = self.asked if self.address is None else ("address", self.address)
        return InputError((argument,), value, f"no Ray cluster to work with: {why}")

    def unable(self, error: BaseException) -> InputError:
        """The error of a node that did not come as far as the work."""
        said = line(error).rpartition("Error: ")[2]
        return self.refused(f"every node needs fastadl {fastadl.__version__}, as here, but there: {said}")

    def ended(self, process: subprocess.Popen[bytes], log: IO[bytes]) -> InputError:
        """Why the process that used it is no more."""
        if process.wait() != _NO_ANSWER:
            return self.refused("it is gone")
        log.seek(0)
        if b"Unauthenticated" not in log.read():
            return self.refused("nothing there speaks Ray")
        remedy = "set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN if it is not the one in ~/.ray/auth_token"
        return self.refused(f"it wants its token: {remedy}")

    def imported(self) -> Any:
        """Ray, in the process that uses it."""
        if self.address is None and "RAY_AUTH_MODE" not in os.environ:  # or Ray leaves a token with the user
            os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        try:
            return import_module("ray")
        except ImportError as error:
            remedy = f'Ray cannot be used ({error}): pip install "fastadl[ray]" brings it'
            raise InputError(self.asked[:1], "ray", remedy) from None

    @contextmanager
    def joined(
        self, ray: Any, cores: int | None, environment: Mapping[str, str], **more: Any
    ) -> Iterator[None]:
        """Be connected to it, in the process that uses it.

        Parameters
        ----------
        ray : module
            From `imported`.
        cores : int, optional
            Of a cluster that is started, unless as many as the machine has.
        environment : mapping of str to str
            Of all that runs there.
        **more
            For one that is started.
        """
        with ExitStack() as held:
            held.callback(shutil.rmtree, self.folder, ignore_errors=True)  # if whoever made it was killed
            if self.address is None:
                address = "local"
                options: dict[str, Any] = {"num_cpus": cores, "include_dashboard": False, **more}
                options["_temp_dir"] = self.folder
            else:
                address, options = self.address, {}
            held.callback(ray.shutdown)
            late = threading.Timer(self.patience, os._exit, [_NO_ANSWER])
            if self.address is not None:
                late.start()
            try:
                said = {"runtime_env": {"env_vars": dict(environment)}, "logging_level": "error"}
                ray.init(address, log_to_driver=False, **said, **options)
            except Exception as error:
                raise self.refused(line(error)) from None
            finally:
                late.cancel()
            yield


def scratch() -> tempfile.TemporaryDirectory[str]:
    """For what Ray keeps while it runs; gone afterwards, also if the process that uses Ray is killed."""
    short = _SHORT if os.name == "posix" and len(tempfile.gettempdir()) > _LONGEST else None
    return tempfile.TemporaryDirectory(prefix="ray-", dir=short, ignore_cleanup_errors=True)


@contextmanager
def driver(program: str, log: IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """The process that uses Ray; it ends when its standard input does."""
    process = child.start(program, log=log)
    try:
        yield process
    finally:
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(OSError):  # what could not be sent any more
            process.stdin.close()
        try:
            process.wait(STOPPING)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def line(error: BaseException) -> str:
    """What an error says, in one line."""
    return " ".join(str(error).split()) or type(error).__name__


def check_version(version: str) -> None:
    """Refuse a node that might give other results."""
    if fastadl.__version__ != version:
        found = f"a node with fastadl {fastadl.__version__}"
        raise InputError(("address",), found, f"install fastadl {version} there, as here")

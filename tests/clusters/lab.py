"""Hosts that are none: network namespaces with a home, a temporary folder, processes and an sshd of their own.

A client and its hosts are joined by a bridge that lives in the client's namespace, so the machine's own network is
left alone, and everything is gone once the first process of each is.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TMP = Path("/tmp")
NETWORK = "10.77.0"
CLIENT = f"{NETWORK}.254"
_OWN = ("unshare", "--net", "--uts", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
TOOLS = ("ip", "sshd", "ssh", "ssh-keygen", "rsync", "unshare", "nsenter")


def missing() -> str:
    """Why there can be no lab here; empty if there can."""
    if os.geteuid() != 0:
        return "needs root, for network namespaces"
    absent = [tool for tool in TOOLS if shutil.which(tool) is None]
    return f"needs {', '.join(absent)} (iproute2, openssh-server, rsync, util-linux)" if absent else ""


class Host:
    """A namespace of each kind, and a first process that holds them.

    Args:
        folder: Its home and its temporary folder are here; a home that is there is kept.
        name: Its host name.
        main: What the first process runs.
        seen: Folders that must stay where they are, although it has a temporary folder of its own.
    """

    def __init__(self, folder: Path, name: str, main: str, seen: Sequence[Path]) -> None:
        self.name, self.folder = name, folder
        self.home, tmp = folder / "home", folder / "tmp"
        shutil.rmtree(tmp, ignore_errors=True)
        for each in (self.home, tmp):
            each.mkdir(parents=True, exist_ok=True)
        passwd = folder / "passwd"
        passwd.write_text(f"root:x:0:0:root:{self.home}:/bin/bash\nsshd:x:100:65534::/run/sshd:/usr/sbin/nologin\n")
        steps = [f"hostname {name}", *_binds(tmp, [folder, *seen])]
        steps += [f"mount --bind {passwd} /etc/passwd", "mount -t tmpfs tmpfs /run", "mkdir /run/sshd", f"exec {main}"]
        self._holder = subprocess.Popen(
            [*_OWN, "sh", "-ec", "\n".join(steps)],
            stdin=subprocess.DEVNULL,
            stdout=(folder / "log").open("w"),
            stderr=subprocess.STDOUT,
        )
        self.pid = self._first()

    def _first(self) -> int:
        """The first process inside, as it is called outside, once everything is in its place."""
        children = Path(f"/proc/{self._holder.pid}/task/{self._holder.pid}/children")
        for _ in range(100):
            if (found := children.read_text().split()) and Path(f"/proc/{found[0]}/comm").read_text() != "sh\n":
                return int(found[0])
            time.sleep(0.05)
        raise RuntimeError(f"{self.name}: {(self.folder / 'log').read_text()}")

    def command(self, *words: str) -> list[str]:
        """How to run something inside, with nothing of our environment."""
        path = f"PATH={Path(sys.prefix) / 'bin'}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
        kept = [f"HOME={self.home}", path, "LANG=C.UTF-8", "USER=root", "TERM=dumb"]
        return [
            "nsenter",
            "-t",
            str(self.pid),
            "-n",
            "-u",
            "-m",
            "-p",
            "--",
            "env",
            "-C",
            str(ROOT),
            "-i",
            *kept,
            *words,
        ]

    def run(self, *words: str) -> str:
        """What a command inside printed."""
        return subprocess.run(self.command(*words), capture_output=True, text=True, check=True, timeout=60).stdout

    def processes(self) -> list[str]:
        """Command lines of all that runs inside."""
        if self._holder.poll() is not None:
            return []
        space, found = _space(self.pid), []
        for path in Path("/proc").glob("[0-9]*"):
            try:
                if _space(int(path.name)) == space:
                    found.append((path / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip())
            except OSError:
                continue
        return found

    def kill(self) -> None:
        """Pull the plug: the first process takes all others with it."""
        self._holder.kill()
        self._holder.wait()


def _space(pid: int) -> str:
    return str(Path(f"/proc/{pid}/ns/pid").readlink())


def _binds(tmp: Path, seen: Sequence[Path]) -> list[str]:
    """Commands that lay another folder over the temporary one, with some of its folders still in place."""
    steps = []
    for path in (each for each in seen if each.is_relative_to(TMP)):
        inside = tmp / path.relative_to(TMP)
        steps += [f"mkdir -p {shlex.quote(str(inside))}", f"mount --bind {path} {inside}"]
    return [*steps, f"chmod 1777 {tmp}", f"mount --rbind {tmp} {TMP}"]


class Lab:
    """A client and hosts that it reaches by ssh, with a key of their own.

    Args:
        folder: For everything that they write.
        count: How many hosts.

    Attributes:
        shared: A folder that is the same on all of them.
        key: The private half of the key that lets the client in.
    """

    def __init__(self, folder: Path, count: int) -> None:
        self.shared, self.key = folder / "shared", folder / "key"
        self.shared.mkdir()
        for each in (self.key, folder / "host_key"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", each], check=True)
        self._sshd = folder / "sshd_config"
        self._sshd.write_text(
            f"HostKey {folder / 'host_key'}\nAuthorizedKeysFile {folder / 'key.pub'}\nStrictModes no\nUsePAM no\n"
            "PasswordAuthentication no\nPermitRootLogin prohibit-password\nPidFile none\nMaxStartups 50\n"
        )
        seen = [self.shared, folder, ROOT, Path(sys.prefix), Path(sys.base_prefix)]
        self.client = Host(folder / "client", "client", "sleep infinity", seen)
        self._folder, self._seen, self._plugged = folder, seen, 0
        self.addresses = [f"{NETWORK}.{n}" for n in range(1, count + 1)]
        self._in(self.client)(
            *("link set lo up", "link add br0 type bridge", f"addr add {CLIENT}/24 dev br0", "link set br0 up")
        )
        self.hosts = [self._boot(number) for number in range(count)]

    def reboot(self, number: int) -> Host:
        """Take a host away if it is still there, and bring it back with its home and its address."""
        self.hosts[number].kill()
        self.hosts[number] = self._boot(number)
        return self.hosts[number]

    def _boot(self, number: int) -> Host:
        sshd = f"{shutil.which('sshd')} -D -e -f {self._sshd}"
        host = Host(self._folder / f"host{number + 1}", f"host{number + 1}", sshd, self._seen)
        self._plugged += 1
        port = f"v{self._plugged}"
        self._in(self.client)(f"link add {port} type veth peer name eth0 netns {host.pid}")
        self._in(self.client)(f"link set {port} master br0 up")
        # Nothing lies beyond the route; Ray asks which address it would take.
        address = f"addr add {self.addresses[number]}/24 dev eth0"
        self._in(host)("link set lo up", address, "link set eth0 up", f"route add default via {CLIENT}")
        return host

    def _in(self, host: Host):
        def ip(*commands: str) -> None:
            for each in commands:
                subprocess.run(["nsenter", "-t", str(host.pid), "-n", "ip", *each.split()], check=True)

        return ip

    def close(self) -> None:
        """Take everything away."""
        for host in (*self.hosts, self.client):
            host.kill()

"""Stops a cluster that ``ray up`` started, all of it: on hosts of one's own ``ray down`` stops the head alone.

The workers' processes would look for the head for a while, and their host would be taken all that time.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sweeper import yamlfile
from trainables.errors import InputError

#: Run on each host, in a shell as Ray's own; silent and 0 if no process of Ray is left.
_STOP = (
    "source ~/.bashrc; ray stop --grace-period 10 >/dev/null 2>&1; ray stop --force >/dev/null 2>&1; "
    """left=$(pgrep -u "$(id -u)" -x 'raylet|gcs_server'); state=$?; """
    """test $state -eq 1 || { echo "still runs: ${left:-unknown, pgrep says $state}" | tr '\\n' ' '; exit 3; }"""
)
#: As ``ray up`` calls it, but never asking for anything.
_SSH = (
    *("ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-o", "LogLevel=ERROR", "-o", "IdentitiesOnly=yes"),
    *("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"),
)


def down(file: Path) -> dict[str, str]:
    """Stop every node of a cluster and look whether they did.

    Args:
        file: What ``ray up`` was given.

    Returns:
        What is wrong with each host that was not seen to have stopped; empty if all have. Instances of a cloud are
        Ray's to end, and are not looked at.

    Raises:
        InputError: If the file is no cluster file, or Ray cannot end the instances.
    """
    config = yamlfile.read(file).data
    provider = config.get("provider")
    if not isinstance(provider, Mapping) or "type" not in provider:
        raise InputError(f"{file}: has no provider.type; give the cluster file that `ray up` was given")
    hosts = list(_hosts(file, provider))
    ended = subprocess.run([sys.executable, "-m", "ray.scripts.scripts", "down", "-y", str(file)], check=False)
    if ended.returncode and not hosts:
        raise InputError(f"{file}: `ray down` failed (exit code {ended.returncode}); what it says is above")
    auth = config.get("auth") or {}
    said = {host: _stop(host, auth) for host in hosts}
    return {host: wrong for host, wrong in said.items() if wrong}


def _hosts(file: Path, provider: Mapping[str, Any]) -> Iterator[str]:
    """Addresses of one's own hosts: the workers, then the head; none in a cloud."""
    if provider["type"] != "local":
        return
    head, workers = provider.get("head_ip"), provider.get("worker_ips")
    if not isinstance(head, str) or not isinstance(workers, list):
        raise InputError(f"{file}: provider.head_ip and provider.worker_ips must name the hosts to stop")
    yield from map(str, workers)
    yield head


def _stop(host: str, auth: Mapping[str, Any]) -> str:
    """Stop Ray on a host; what is wrong if it may still run."""
    key = ["-i", str(Path(auth["ssh_private_key"]).expanduser())] if auth.get("ssh_private_key") else []
    proxy = ["-o", f"ProxyCommand={auth['ssh_proxy_command']}"] if auth.get("ssh_proxy_command") else []
    where = f"{auth['ssh_user']}@{host}" if auth.get("ssh_user") else host
    command = [*_SSH, *key, *proxy, where, f"bash --login -i -c {shlex.quote(_STOP)}"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    except subprocess.TimeoutExpired:
        return "does not answer"
    if result.returncode == 0:
        return ""
    last = (result.stdout.strip() or result.stderr.strip() or f"exit code {result.returncode}").splitlines()[-1]
    return f"cannot be reached ({last})" if result.returncode == 255 else last

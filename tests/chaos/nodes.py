"""A cluster of a head and two nodes on this host, in a process of its own: ``nodes.py``.

Prints the address; every line it reads kills a node (not the head) as a power cut would, and gives a new one.
"""

import random
import sys
import time
from contextlib import suppress

from ray.cluster_utils import Cluster

from sweeper import process


def replace(cluster: Cluster) -> None:
    """Add a node; on a busy machine one may not be there in the half minute that Ray gives it, and another is tried."""
    for _ in range(10):
        # Ray raises a bare Exception.
        with suppress(Exception):
            cluster.add_node(num_cpus=1, wait=False)
            return


if __name__ == "__main__":
    process.private_token()
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    for _ in range(2):
        cluster.add_node(num_cpus=1)
    print(cluster.address, flush=True)
    choose = random.Random(0)
    for _ in sys.stdin:
        cluster.remove_node(choose.choice(sorted(cluster.worker_nodes, key=id)), allow_graceful=False)
        time.sleep(1)
        replace(cluster)
        print("lost", flush=True)
    cluster.shutdown()

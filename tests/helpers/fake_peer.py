"""A peer for tests, as lab/measure/torch_peer.py, without a framework: it answers made-up times.

FAKE_PEER in the environment makes it fail: "describe" or "prepare" with an error, "dying" by ending
in the middle of a run.
"""

from __future__ import annotations

import json
import os
import sys

FAILING = os.environ.get("FAKE_PEER", "")
MS = {"channels_first": [30.0, 20.0], "channels_last": [12.0, 10.0]}


def answer(request):
    command = request["command"]
    if command == FAILING:
        return {"error": f"no {command} today"}
    if command == "describe":
        return {"name": "torch", "versions": {"torch": "1.2.3"}}
    if command == "prepare":
        assert request["images"] == 2
        assert request["problem"]["out_height"] > 0
        return {"variants": list(MS)}
    if command == "run":
        if FAILING == "dying":
            sys.exit("the peer is dead")
        return {"ms": MS[request["variant"]]}
    return {}


for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))), flush=True)

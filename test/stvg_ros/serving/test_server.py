# SPDX-License-Identifier: Apache-2.0

"""The real thing: Ray Serve, its processes, TLS and tokens, and the embedded model."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from paths import ROOT

pytest.importorskip("ray", reason="Ray Serve is missing: pip install -r requirements/serving.txt")
import torch
import yaml
from fakes import no_checkpoint
from serving_tools import TOKEN, until

from stvg_lab.rendered.clips import scene_frames
from stvg_lab.rendered.queries import scene_queries, split_seed
from stvg_lab.rendered.scene import Scene
from stvg_ros.build import application, build_grounder, build_local
from stvg_ros.config import Config
from stvg_ros.errors import ConfigError, ErrorCode, StvgError
from stvg_ros.serving.image_codec import decoded, encoded
from stvg_ros.types import Clip, Frame, Query, Status

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
READY_S = 400.0  # undisturbed 15 s
CLIENTS = 8
# The presence check would hide the boxes that are compared.
SETTINGS = {"presence.enabled": False}
CLUSTER = ROOT / "config" / "serving" / "cluster.yaml"
# What Ray does with a config that `serve deploy` sends to its dashboard.
DEPLOY = """
import json, sys, ray
from ray.serve.context import _get_global_client
from ray.serve.schema import ServeDeploySchema
ray.init(sys.argv[1], namespace="serve", log_to_driver=False)
_get_global_client().deploy_apps(ServeDeploySchema(**json.load(sys.stdin)))
"""


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


@pytest.fixture(scope="module")
def secrets(tmp_path_factory):
    """A self-signed certificate, and a token for each client."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is missing: install it to make a certificate")
    folder = tmp_path_factory.mktemp("secrets")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
        + ["-subj", "/CN=gpu-box", "-addext", "subjectAltName=IP:127.0.0.1"]
        + ["-keyout", "key.pem", "-out", "certificate.pem"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    (folder / "tokens").write_text("".join(f"robot-{n} {TOKEN}{n}\n" for n in range(CLIENTS)))
    for number in range(CLIENTS):
        (folder / f"token-{number}").write_text(f"{TOKEN}{number}\n")
    return folder


class Served:
    """`stvg-ros serve` as its own process."""

    def __init__(self, folder, port):
        self.folder, self.port = folder, port
        self.start()

    def start(self):
        folder, port = self.folder, self.port
        self.log = folder / f"serve-{time.monotonic_ns()}.log"
        settings = [f"--set={name}={json.dumps(value)}" for name, value in SETTINGS.items()]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "stvg_ros.cli.main", "serve", "--host", "127.0.0.1"]
                + ["--port", str(port), "--device", "cpu", "--token-file", str(folder / "tokens")]
                + ["--certificate", str(folder / "certificate.pem")]
                + ["--key", str(folder / "key.pem"), "--set=serving.body_timeout_s=5", *settings],
                cwd=folder, stdout=log, stderr=log, start_new_session=True,
                env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            )  # fmt: skip

    def wait_ready(self):
        def over():
            return self.process.poll() is not None or self.ready

        until(over, READY_S)
        if not self.ready and "timed out during startup" in self.log.read_text():
            self.start()  # a busy machine: Ray gives itself 30 s, and no setting changes that
            until(over, READY_S)
        assert self.ready, self.log.read_text()

    @property
    def ready(self):
        return f"serving at https://127.0.0.1:{self.port}" in self.log.read_text()

    def raw(self):
        context = ssl.create_default_context(cafile=str(self.folder / "certificate.pem"))
        plain = socket.create_connection(("127.0.0.1", self.port), 60)
        return context.wrap_socket(plain, server_hostname="127.0.0.1")

    def ask(self, head, body=b""):
        """The status line and body of a request by hand."""
        with self.raw() as connection:
            connection.sendall(head.encode() + b"\r\n\r\n" + body)
            answer = bytearray()
            while piece := connection.recv(65536):
                answer += piece
        return bytes(answer)

    def processes(self):
        """Process numbers and command lines of Ray's processes."""
        for line in subprocess.run(
            ["ps", "-ewwo", "pid=,sid=,args="], capture_output=True, text=True, check=True
        ).stdout.splitlines():
            pid, session, arguments = line.split(None, 2)
            if int(session) == self.process.pid:
                yield int(pid), arguments

    def replica(self):
        """The process that has the model."""
        found = (pid for pid, arguments in self.processes() if "ServeReplica:stvg" in arguments)
        return next(found, None)

    def replica_at(self, path, before=None):
        """The name of the replica that answers at a path, once it is not the one of before."""
        head = f"GET {path}/metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
        end_s = time.monotonic() + READY_S
        while time.monotonic() < end_s:
            with contextlib.suppress(OSError):  # Serve keeps requests until there is a replica
                answer = self.ask(head + f"authorization: Bearer {TOKEN}0")
                named = re.search(rb'replica="(\w+)"', answer)
                if named and named[1] != before:
                    return named[1]
            time.sleep(0.2)
        raise AssertionError(f"no other replica than {before} at {path!r} in {READY_S:g} s")

    def deploy(self, config):
        """Gives a Serve config to the Ray that runs."""
        raylet = next(arguments for _, arguments in self.processes() if "/raylet " in arguments)
        address = re.search(r"--gcs-address=(\S+)", raylet)[1]
        subprocess.run(
            [sys.executable, "-c", DEPLOY, address], cwd=self.folder, check=True, text=True,
            input=json.dumps(config), timeout=READY_S,
            env={**os.environ, "RAY_AUTH_MODE": "token", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"},
        )  # fmt: skip

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(60)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@pytest.fixture(scope="module")
def served(secrets):
    server = Served(secrets, free_port())
    try:
        server.wait_ready()
        yield server
    finally:
        server.stop()


@pytest.fixture
def connect(served, secrets):
    made = []

    def client(number=0, path="", **settings):
        flat = {
            **SETTINGS,
            "backend": "remote",
            "remote.address": f"https://127.0.0.1:{served.port}{path}",
            "remote.ca_file": str(secrets / "certificate.pem"),
            "remote.token_file": str(secrets / f"token-{number}"),
            "remote.timeout_s": 60.0,
            **{f"remote.{name}": value for name, value in settings.items()},
        }
        made.append(build_grounder(Config.from_flat(flat)))
        return made[-1]

    yield client
    for one in made:
        one.close()


@pytest.fixture(scope="module")
def scene():
    made = Scene.from_seed(split_seed("test", 0))
    text = next(query.text for query in scene_queries(made) if query.target is not None)
    return Clip(tuple(scene_frames(made))[:20]), Query(text)


@pytest.fixture(scope="module")
def local():
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # as in the replica: sums in the same order
    yield build_local(Config.from_flat({**SETTINGS, "model.device": "cpu"}))
    torch.set_num_threads(before)


def through_jpeg(clip, quality):
    """What the server sees of a clip."""
    return Clip(
        tuple(
            Frame(f.stamp_ns, decoded(encoded(f.image, quality)), *clip.size_px, f.frame_id)
            for f in clip.frames
        )
    )


def test_the_tube_is_that_of_the_local_model_bit_for_bit(connect, local, scene):
    clip, query = scene
    stages = []
    remote = connect(jpeg_quality=0).ground(clip, query, lambda stage, _: stages.append(stage))
    here = local.ground(clip, query, no_checkpoint)
    assert here.best.boxes
    assert remote.best.boxes == here.best.boxes
    assert (remote.best.start_ns, remote.best.end_ns) == (here.best.start_ns, here.best.end_ns)
    assert {"send", "encode", "forward pass", "re-attend"} <= set(stages)
    jpeg = connect(1, jpeg_quality=90).ground(clip, query, no_checkpoint)
    assert jpeg.best.boxes == local.ground(through_jpeg(clip, 90), query, no_checkpoint).best.boxes


def test_eight_robots_at_once_are_all_answered(connect, scene):
    clip, query = scene
    short = Clip(clip.frames[:6])
    rounds, done = 2, []

    def ask(client):
        for _ in range(rounds):
            done.append((client, client.ground(short, query, no_checkpoint).best.status))

    clients = [connect(number) for number in range(CLIENTS)]
    threads = [threading.Thread(target=ask, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
    assert {status for _, status in done} <= {Status.FOUND, Status.NOT_FOUND}
    assert sorted(clients.index(client) for client, _ in done) == sorted([*range(CLIENTS)] * rounds)


def test_intruders_are_refused_with_a_reason_and_the_server_lives(connect, served, scene):
    clip, query = scene
    head = "POST /v1/ground HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
    token = f"authorization: Bearer {TOKEN}0\r\n"
    answer = served.ask(head + "authorization: Bearer wrong\r\ncontent-length: 0")
    assert answer.startswith(b"HTTP/1.1 401")
    assert b"got a wrong token" in answer
    answer = served.ask(head + token + "content-length: 999999999")
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"serving.max_body_bytes" in answer
    answer = served.ask(head + token + "content-length: 4", b"\xc1\xc1\xc1\xc1")
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"do not decode" in answer
    answer = served.ask(head + token + "content-length: 1000", b"slow")
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"serving.body_timeout_s" in answer
    with served.raw() as connection:  # never ends its head
        connection.sendall(b"GET /v1/health HTTP/1.1\r\nx-slow: ")
        assert connection.recv(65536).startswith(b"HTTP/1.1 408")
    huge = Clip((Frame(1, np.zeros((4100, 4100, 3), np.uint8), 4100, 4100),))
    client = connect(2)
    with pytest.raises(StvgError, match="at most 16777216 pixels, got 4100 x 4100"):
        client.ground(huge, query, no_checkpoint)
    health = served.ask("GET /v1/health HTTP/1.1\r\nhost: x\r\nconnection: close")
    assert b'"status":"ok"' in health
    assert connect(3).ground(clip, query, no_checkpoint).best.status is Status.FOUND


def _listening(pid):
    """The addresses that a process listens on, as the kernel writes them."""
    sockets = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            sockets.add(link.readlink().name)
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            _, address, _, state, *_, inode = line.split()[:10]
            if state == "0A" and f"socket:[{inode}]" in sockets:
                yield address.split(":")[0]


@pytest.mark.skipif(not Path("/proc/self/net/tcp").exists(), reason="needs Linux's /proc")
def test_ray_listens_on_loopback_and_keeps_its_token(served):
    loopback = {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}
    elsewhere = []
    for pid, arguments in served.processes():
        with contextlib.suppress(FileNotFoundError):  # it ended meanwhile
            elsewhere += [arguments for address in _listening(pid) if address not in loopback]
    # Ray Serve has no setting for this port: a replica's, for calls between replicas.
    assert all("ServeReplica" in arguments for arguments in elsewhere), elsewhere
    assert len(elsewhere) <= 1
    token = Path(os.environ.get("RAY_AUTH_TOKEN_PATH", "~/.ray/auth_token")).expanduser()
    assert token.stat().st_mode & 0o077 == 0


def test_what_the_proxy_cannot_pass_on_is_refused(served):
    head = f"GET /v1/health HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}0\r\n"
    with served.raw() as connection:
        connection.sendall(head.encode() + b"connection: close\r\nx-session-id: \xff\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 400")
    upgrade = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"
    answer = served.ask(head + upgrade + "sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==")
    assert answer.startswith(b"HTTP/1.1 403")


def test_a_cluster_file_gives_two_models_and_an_update_loses_no_command(
    connect, served, secrets, scene
):
    clip, query = scene
    short = Clip(clip.frames[:6])
    config = yaml.safe_load(CLUSTER.read_text(encoding="utf-8"))
    for app in config["applications"]:
        app["args"]["token_file"] = str(secrets / "tokens")
        app["args"]["settings"].update({"model.path": "embedded", "model.device": "cpu"})
        app["deployments"][0]["ray_actor_options"] = {"num_cpus": 0.1}
    large, small = config["applications"]
    small["deployments"][0]["num_replicas"] = 1
    served.deploy(config)
    before = served.replica_at("/large"), served.replica_at("/small")
    assert connect(6, "/small").ground(short, query, no_checkpoint).best.boxes

    client = connect(7, "/large", retries=0)
    over, answers, errors = threading.Event(), [], []

    def ask():
        while not over.is_set():
            try:
                answers.append(client.ground(short, query, no_checkpoint).best.boxes)
            except StvgError as error:
                errors.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    large["args"]["settings"]["serving.max_queue"] = 8
    served.deploy(config)
    served.replica_at("/large", before[0])
    told = len(answers)
    until(lambda: len(answers) > told + 3 or errors, READY_S)
    over.set()
    asking.join(READY_S)
    assert not errors
    assert len(set(answers)) == 1
    assert served.replica_at("/small") == before[1]


def test_a_replica_killed_in_mid_request_is_survived(connect, served, scene):
    clip, query = scene
    client = connect(4, retries=5, breaker_failures=100)
    before = served.replica()
    killed = []

    def checkpoint(stage, progress):
        if stage == "forward pass" and not killed:
            killed.append(before)
            os.kill(before, signal.SIGKILL)

    answer = client.ground(clip, query, checkpoint)
    assert killed == [before]
    assert answer.best.status is Status.FOUND
    assert client.ground(clip, query, no_checkpoint).best.boxes == answer.best.boxes
    until(lambda: served.replica() not in (None, before), READY_S)


def test_a_server_gone_is_told_and_used_again_when_it_is_back(connect, served, secrets, scene):
    clip, query = scene
    client = connect(5, retries=0, breaker_s=0.0)
    served.stop()
    with pytest.raises(StvgError) as caught:
        client.ground(clip, query, no_checkpoint)
    assert caught.value.code is ErrorCode.UNREACHABLE
    again = Served(secrets, served.port)
    try:
        again.wait_ready()
        assert client.ground(clip, query, no_checkpoint).best.status is Status.FOUND
    finally:
        again.stop()


def test_a_public_address_is_refused_without_token_and_tls():
    done = subprocess.run(
        [sys.executable, "-m", "stvg_ros.cli.main", "serve", "--host", "0.0.0.0"],
        capture_output=True, text=True, check=False, cwd=os.path.expanduser("~"),
    )  # fmt: skip
    assert done.returncode == 2
    assert "--token-file and --certificate and --key are needed" in done.stderr


@pytest.mark.filterwarnings("ignore:Using extra keyword arguments on `Field`")  # of Ray Serve
def test_the_cluster_file_is_one_that_serve_accepts():
    from ray.serve.schema import ServeDeploySchema

    config = ServeDeploySchema(**yaml.safe_load(CLUSTER.read_text(encoding="utf-8")))
    for app in config.applications:
        built = application(app.args)
        assert [deployment.name for deployment in app.deployments] == ["Grounding"]
        assert app.import_path == f"{application.__module__}:{application.__name__}"
        assert type(built).__name__ == "Application"
    with pytest.raises(ConfigError, match="span.method"):
        application({"settings": {"span.method": "guess"}})

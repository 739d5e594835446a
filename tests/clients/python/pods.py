"""Pods on a node: running, logs, exec, port forwarding."""
from kubernetes import client
from kubernetes.stream import portforward, stream

from support import equal, namespace, refused, until


def start(where, name, command):
    """A pod that runs."""
    core = client.CoreV1Api()
    container = {"name": "main", "image": "localhost/web:v1", **({"command": command} if command else {})}
    core.create_namespaced_pod(where, {"metadata": {"name": name}, "spec": {"terminationGracePeriodSeconds": 0, "containers": [container]}})
    until(f"{name} runs", lambda: core.read_namespaced_pod(name, where).status.phase in ("Running", "Succeeded"))


def logs():
    """Logs as a whole, their end, and followed."""
    core, where = client.CoreV1Api(), namespace("logs")
    start(where, "talks", ["sh", "-c", "for n in 1 2 3 4 5; do echo line $n; done; sleep 1; echo last; sleep 1000"])
    until("five lines", lambda: core.read_namespaced_pod_log("talks", where).count("line") == 5)
    equal("line 5\n", core.read_namespaced_pod_log("talks", where, tail_lines=1) if "last" not in core.read_namespaced_pod_log("talks", where) else "line 5\n")
    assert "Z line 1" in core.read_namespaced_pod_log("talks", where, timestamps=True)
    equal("line 1", core.read_namespaced_pod_log("talks", where, limit_bytes=6))
    seen = []
    for line in core.read_namespaced_pod_log("talks", where, follow=True, _preload_content=False):
        seen += line.decode().split("\n")
        if "last" in seen:
            break
    with refused(400):
        core.read_namespaced_pod_log("talks", where, container="none")


def execs():
    """A command's output, its errors, its input and its status."""
    core, where = client.CoreV1Api(), namespace("execs")
    start(where, "works", ["sleep", "1000"])
    call = core.connect_get_namespaced_pod_exec
    equal("out\n", stream(call, "works", where, command=["echo", "out"], stderr=True, stdin=False, stdout=True, tty=False))
    talk = stream(call, "works", where, command=["sh", "-c", "read line; echo got $line; echo bad >&2; exit 3"], stderr=True, stdin=True, stdout=True, tty=False, _preload_content=False)
    talk.write_stdin("words\n")
    talk.run_forever(timeout=20)
    equal(("got words\n", "bad\n", 3), (talk.read_stdout(), talk.read_stderr(), talk.returncode))
    binary = stream(call, "works", where, command=["printf", r"\200\377"], stderr=True, stdin=False, stdout=True, tty=False, binary=True)
    equal(b"\x80\xff", binary)


def forwards():
    """A port of a pod, as a socket."""
    core, where = client.CoreV1Api(), namespace("forwards")
    start(where, "web", None)
    def ask():
        forward = portforward(core.connect_get_namespaced_pod_portforward, "web", where, ports="8080")
        socket = forward.socket(8080)
        socket.settimeout(10)
        socket.sendall(b"GET /cgi-bin/who HTTP/1.0\r\n\r\n")
        answer = b""
        while part := socket.recv(4096):
            answer += part
        return b"v1 from web" in answer
    until("an answer", ask, 20)


def evicts():
    """An eviction ends a pod."""
    core, where = client.CoreV1Api(), namespace("evicts")
    start(where, "goes", ["sleep", "1000"])
    core.create_namespaced_pod_eviction("goes", where, {"metadata": {"name": "goes"}})
    until("it is gone", lambda: not core.list_namespaced_pod(where).items)


def ends():
    """A pod that ends says how."""
    core, where = client.CoreV1Api(), namespace("ends")
    core.create_namespaced_pod(where, {"metadata": {"name": "fails"}, "spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "localhost/busybox:1", "command": ["sh", "-c", "exit 7"]}]}})
    until("it has failed", lambda: core.read_namespaced_pod("fails", where).status.phase == "Failed")
    ended = core.read_namespaced_pod("fails", where).status.container_statuses[0].state.terminated
    equal((7, "Error"), (ended.exit_code, ended.reason))


CHECKS = [
    ("logs", logs),
    ("exec", execs),
    ("port forwarding", forwards),
    ("eviction", evicts),
    ("a pod that ends", ends),
]

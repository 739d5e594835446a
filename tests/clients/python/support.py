"""What the checks share."""
import time
from contextlib import contextmanager

from kubernetes import client
from kubernetes.client.exceptions import ApiException


def namespace(name):
    """A new namespace."""
    return client.CoreV1Api().create_namespace({"metadata": {"generateName": name + "-"}}).metadata.name


def fill(where, count):
    """Makes config maps; every third is labelled so."""
    core = client.CoreV1Api()
    for n in range(count):
        labels = {"test": "yes", **({"third": "yes"} if n % 3 == 0 else {})}
        core.create_namespaced_config_map(where, {"metadata": {"name": f"map-{n:03}", "labels": labels}, "data": {"n": str(n)}})


def equal(wanted, got):
    """Fails where they differ."""
    assert wanted == got, f"want {wanted!r}, got {got!r}"


@contextmanager
def refused(status, *words):
    """What is done inside has to be refused with a status, and with words in its answer."""
    try:
        yield
    except ApiException as e:
        equal(status, e.status)
        for word in words:
            assert word in str(e.body), f"{word!r} is not in {e.body}"
    else:
        raise AssertionError(f"should have been refused with {status}")


def until(what, condition, limit=60):
    """Waits until a condition holds, and gives what it was."""
    end = time.monotonic() + limit
    while not (held := condition()):
        assert time.monotonic() < end, f"not within {limit} s: {what}"
        time.sleep(0.1)
    return held

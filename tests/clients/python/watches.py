"""Watches, informers and leader election."""
import asyncio
import threading
import uuid

from kubernetes import aio, client, dynamic, watch
from kubernetes.informer import ADDED, DELETED, MODIFIED, SharedInformer
from kubernetes.leaderelection import electionconfig, leaderelection
from kubernetes.leaderelection.resourcelock.leaselock import LeaseLock

from support import equal, fill, namespace, refused, until


def change(where):
    """One object comes, changes and goes."""
    core = client.CoreV1Api()
    core.create_namespaced_config_map(where, {"metadata": {"name": "new", "labels": {"test": "yes"}}})
    core.patch_namespaced_config_map("new", where, {"data": {"a": "b"}})
    core.delete_namespaced_config_map("new", where)


EXPECTED = [("ADDED", "new"), ("MODIFIED", "new"), ("DELETED", "new")]


def from_a_version():
    """A watch from a list's version shows what came after it, and starts anew where it stopped."""
    core, where = client.CoreV1Api(), namespace("watches")
    fill(where, 5)
    version = core.list_namespaced_config_map(where).metadata.resource_version
    change(where)
    feed = watch.Watch()
    seen = []
    for event in feed.stream(core.list_namespaced_config_map, where, resource_version=version, label_selector="test=yes", timeout_seconds=20):
        seen.append((event["type"], event["object"].metadata.name))
        if len(seen) == 3:
            feed.stop()
    equal(EXPECTED, seen)
    # from the version of the middle one
    middle = core.create_namespaced_config_map(where, {"metadata": {"name": "middle"}}).metadata.resource_version
    core.create_namespaced_config_map(where, {"metadata": {"name": "after"}})
    feed = watch.Watch()
    first = next(iter(feed.stream(core.list_namespaced_config_map, where, resource_version=middle, timeout_seconds=20)))
    equal("after", first["object"].metadata.name)


def without_a_version():
    """Without a version a watch begins with what there is; it ends when it is to."""
    core, where = client.CoreV1Api(), namespace("watches")
    fill(where, 3)
    events = list(watch.Watch().stream(core.list_namespaced_config_map, where, label_selector="test", timeout_seconds=1))
    equal([("ADDED", f"map-00{n}") for n in range(3)], [(e["type"], e["object"].metadata.name) for e in events][:3])


def too_old():
    """A version that is long gone is answered with 410."""
    with refused(410):
        for _ in watch.Watch().stream(client.CoreV1Api().list_namespaced_config_map, "default", resource_version="1", timeout_seconds=5):
            pass


def by_dynamic_client():
    """The dynamic client's watch, as a stream that begins with what there is."""
    where = namespace("watches")
    fill(where, 3)
    found = dynamic.DynamicClient(client.ApiClient())
    maps = found.resources.get(api_version="v1", kind="ConfigMap")
    seen = []
    for event in found.watch(maps, namespace=where, label_selector="test=yes", timeout=10, send_initial_events=True, resource_version_match="NotOlderThan", allow_watch_bookmarks=True):
        seen.append(event["type"])
        if event["type"] == "BOOKMARK":
            equal("true", event["raw_object"]["metadata"]["annotations"]["k8s.io/initial-events-end"])
            break
    equal(["ADDED"] * 3 + ["BOOKMARK"], seen)


def informer():
    """The client's own informer holds what there is and what comes."""
    where = namespace("informer")
    fill(where, 5)
    seen = []
    held = SharedInformer(client.CoreV1Api().list_namespaced_config_map, namespace=where, label_selector="test=yes")
    for kind in (ADDED, MODIFIED, DELETED):
        held.add_event_handler(kind, lambda o, kind=kind: seen.append((kind, o.metadata.name)))
    held.start()
    try:
        until("five", lambda: len(held.cache.list()) == 5, 20)
        change(where)
        until("the three", lambda: [s for s in seen if s[1] == "new"] == EXPECTED, 20)
    finally:
        held.stop()


def leads():
    """A lease is taken, held and seen by others."""
    name, led = "python-leader", threading.Event()
    lock = LeaseLock(name, "default", str(uuid.uuid4()))
    election = electionconfig.Config(lock, lease_duration=3, renew_deadline=2, retry_period=1, onstarted_leading=led.set, onstopped_leading=None)
    threading.Thread(target=leaderelection.LeaderElection(election).run, daemon=True).start()
    assert led.wait(20)
    until("the lease is held", lambda: client.CoordinationV1Api().read_namespaced_lease(name, "default").spec.holder_identity == lock.identity, 10)


def asynchronous():
    """The asynchronous client lists and watches."""
    where = namespace("async")
    fill(where, 3)

    async def follow():
        await aio.config.load_kube_config()
        async with aio.client.ApiClient() as connected:
            core = aio.client.CoreV1Api(connected)
            version = (await core.list_namespaced_config_map(where)).metadata.resource_version
            change(where)
            seen = []
            async with aio.watch.Watch().stream(core.list_namespaced_config_map, where, resource_version=version, timeout_seconds=20) as feed:
                async for event in feed:
                    seen.append((event["type"], event["object"].metadata.name))
                    if len(seen) == 3:
                        return seen

    equal(EXPECTED, [s for s in asyncio.run(follow()) if s[1] == "new"])


CHECKS = [
    ("watches from a version", from_a_version),
    ("watches of what there is", without_a_version),
    ("a watch from long ago", too_old),
    ("the dynamic client's watch, with bookmarks", by_dynamic_client),
    ("its informer", informer),
    ("leader election", leads),
    ("the asynchronous client", asynchronous),
]

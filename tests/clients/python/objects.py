"""Objects: lists in pages, patches of every type, server-side apply, custom resources, collections."""
import tempfile

from kubernetes import client, dynamic, utils

from support import equal, fill, namespace, refused, until

WEB = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web", "labels": {"app": "web"}},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "web", "image": "localhost/web:v1", "env": [{"name": "A", "value": "a"}]}, {"name": "side", "image": "localhost/busybox:1"}]},
        },
    },
}


def creates():
    """Objects are made of models and of dictionaries, and come back typed."""
    core, apps, where = client.CoreV1Api(), client.AppsV1Api(), namespace("creates")
    made = core.create_namespaced_config_map(where, client.V1ConfigMap(metadata=client.V1ObjectMeta(name="a"), data={"k": "v"}, binary_data={"b": "AAEC"}))
    equal(({"k": "v"}, {"b": "AAEC"}), (made.data, made.binary_data))
    assert made.metadata.creation_timestamp.tzinfo and made.metadata.uid and made.metadata.resource_version
    web = apps.create_namespaced_deployment(where, WEB)
    equal(("RollingUpdate", "25%", 10), (web.spec.strategy.type, web.spec.strategy.rolling_update.max_surge, web.spec.revision_history_limit))
    with refused(409, "AlreadyExists"):
        apps.create_namespaced_deployment(where, WEB)
    with refused(422, "spec.replicas", "Invalid"):
        apps.create_namespaced_deployment(where, {"metadata": {"name": "b"}, "spec": {**WEB["spec"], "replicas": -1}})
    with refused(404, "NotFound"):
        core.read_namespaced_config_map("none", where)
    dry = core.create_namespaced_config_map(where, {"metadata": {"name": "dry"}}, dry_run="All")
    assert dry.metadata.uid
    with refused(404):
        core.read_namespaced_config_map("dry", where)


def from_files():
    """utils makes what a file of several documents has, and applies it again."""
    where = namespace("files")
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\n---\napiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Secret, metadata: {name: two}, stringData: {a: b}}\n")
        file.flush()
        utils.create_from_yaml(client.ApiClient(), file.name, namespace=where)
    equal({"a": "Yg=="}, client.CoreV1Api().read_namespaced_secret("two", where).data)


def pages():
    """A list in pages says how much is left, and shows one state."""
    core, where = client.CoreV1Api(), namespace("pages")
    fill(where, 25)
    names, token, versions, left = [], None, set(), []
    while True:
        page = core.list_namespaced_config_map(where, limit=10, _continue=token, label_selector="")
        names += [m.metadata.name for m in page.items]
        versions.add(page.metadata.resource_version)
        left.append(page.metadata.remaining_item_count)
        token = page.metadata._continue
        if len(names) == 10:
            core.create_namespaced_config_map(where, {"metadata": {"name": "map-zzz"}})
        if not token:
            break
    own = [n for n in names if n.startswith("map-")]
    equal([f"map-{n:03}" for n in range(25)], own)
    equal(1, len(versions))
    assert left[0] in (15, 16) and left[-1] is None, left
    with refused(400, "continue"):
        core.list_namespaced_config_map(where, limit=10, _continue="nonsense")


def selects():
    """Labels and fields choose."""
    core, where = client.CoreV1Api(), namespace("selects")
    fill(where, 9)
    count = lambda **selectors: len(core.list_namespaced_config_map(where, **selectors).items)
    equal([9, 3, 6, 1], [count(label_selector="test"), count(label_selector="third=yes"), count(label_selector="test,third notin (yes)"), count(field_selector="metadata.name=map-001")])
    with refused(400):
        count(field_selector="data.n=1")
    with refused(400):
        count(label_selector="a in (")


def patches():
    """Strategic, merge and JSON patches; which one it is, the body's type says."""
    apps, where = client.AppsV1Api(), namespace("patches")
    apps.create_namespaced_deployment(where, WEB)
    strategic = {"spec": {"template": {"spec": {"containers": [{"name": "web", "env": [{"name": "B", "value": "b"}]}]}}}}
    web = apps.patch_namespaced_deployment("web", where, strategic)
    equal((2, {"A", "B"}), (len(web.spec.template.spec.containers), {e.name for e in web.spec.template.spec.containers[0].env}))
    web = apps.patch_namespaced_deployment("web", where, [{"op": "test", "path": "/spec/replicas", "value": 2}, {"op": "replace", "path": "/spec/replicas", "value": 3}])
    equal(3, web.spec.replicas)
    with refused(422, "test"):
        apps.patch_namespaced_deployment("web", where, [{"op": "test", "path": "/spec/replicas", "value": 2}])
    merge = {"spec": {"template": {"spec": {"containers": [{"name": "only", "image": "localhost/web:v1"}]}}}, "metadata": {"labels": {"app": None}}}
    web = apps.patch_namespaced_deployment("web", where, merge, _content_type="application/merge-patch+json")
    equal((["only"], None), ([c.name for c in web.spec.template.spec.containers], web.metadata.labels))
    scale = apps.patch_namespaced_deployment_scale("web", where, {"spec": {"replicas": 5}})
    equal((5, 5), (scale.spec.replicas, apps.read_namespaced_deployment("web", where).spec.replicas))
    stale = apps.read_namespaced_deployment("web", where)
    apps.patch_namespaced_deployment("web", where, {"metadata": {"labels": {"touched": "yes"}}})
    stale.spec.replicas = 1
    with refused(409, "the object has been modified"):
        apps.replace_namespaced_deployment("web", where, stale)


def applies():
    """Server-side apply by the dynamic client, with owners and conflicts."""
    where = namespace("applies")
    deployments = dynamic.DynamicClient(client.ApiClient()).resources.get(api_version="apps/v1", kind="Deployment")
    made = deployments.server_side_apply(body=WEB, namespace=where, field_manager="first")
    equal(("first", "Apply"), (made.metadata.managedFields[0].manager, made.metadata.managedFields[0].operation))
    other = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": 4}}
    with refused(409, 'conflict with \\"first\\": .spec.replicas', "FieldManagerConflict"):
        deployments.server_side_apply(body=other, namespace=where, field_manager="second")
    equal(4, deployments.server_side_apply(body=other, namespace=where, field_manager="second", force_conflicts=True).spec.replicas)
    equal(["A"], [e.name for e in deployments.get(name="web", namespace=where).spec.template.spec.containers[0].env])


def custom_resources():
    """A definition, its objects through both clients, its status and its end."""
    name = "snakes.clients.whalesong.dev"
    schema = {"type": "object", "properties": {"spec": {"type": "object", "required": ["length"], "properties": {"length": {"type": "integer", "minimum": 1}}},
                                               "status": {"type": "object", "properties": {"seen": {"type": "boolean"}}}}}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}, "subresources": {"status": {}}}
    definition = {"metadata": {"name": name}, "spec": {"group": "clients.whalesong.dev", "scope": "Namespaced", "versions": [version], "names": {"plural": "snakes", "kind": "Snake"}}}
    definitions = client.ApiextensionsV1Api()
    definitions.create_custom_resource_definition(definition)
    established = lambda: any(c.type == "Established" and c.status == "True" for c in definitions.read_custom_resource_definition(name).status.conditions or [])
    until("the definition is established", established, 20)
    try:
        use_custom_resource()
    finally:
        definitions.delete_custom_resource_definition(name)
    def is_gone():
        return not [d for d in definitions.list_custom_resource_definition().items if d.metadata.name == name]
    until("the definition is gone", is_gone, 30)


def use_custom_resource():
    """Objects of it through both clients."""
    where, objects = namespace("snakes"), client.CustomObjectsApi()
    of = ("clients.whalesong.dev", "v1", where, "snakes")
    objects.create_namespaced_custom_object(*of, {"apiVersion": "clients.whalesong.dev/v1", "kind": "Snake", "metadata": {"name": "a"}, "spec": {"length": 3}})
    with refused(422, "spec.length"):
        objects.patch_namespaced_custom_object(*of, "a", {"spec": {"length": 0}}, _content_type="application/merge-patch+json")
    objects.patch_namespaced_custom_object_status(*of, "a", {"status": {"seen": True}, "spec": {"length": 9}}, _content_type="application/merge-patch+json")
    got = objects.get_namespaced_custom_object(*of, "a")
    equal((3, {"seen": True}), (got["spec"]["length"], got["status"]))
    with refused(415):
        objects.patch_namespaced_custom_object(*of, "a", {}, _content_type="application/strategic-merge-patch+json")
    snakes = dynamic.DynamicClient(client.ApiClient()).resources.get(api_version="clients.whalesong.dev/v1", kind="Snake")
    equal([3], [s.spec.length for s in snakes.get(namespace=where).items])
    objects.delete_namespaced_custom_object(*of, "a")


def collections():
    """A collection is deleted by its selector."""
    core, where = client.CoreV1Api(), namespace("collections")
    fill(where, 9)
    core.delete_collection_namespaced_config_map(where, label_selector="third=yes")
    equal(6, len(core.list_namespaced_config_map(where, label_selector="test=yes").items))
    core.delete_collection_namespaced_config_map(where, label_selector="test=yes", dry_run="All")
    equal(6, len(core.list_namespaced_config_map(where, label_selector="test=yes").items))


def deletions():
    """Propagation policies, preconditions and what a deletion answers."""
    apps, core, where = client.AppsV1Api(), client.CoreV1Api(), namespace("deletions")
    apps.create_namespaced_deployment(where, WEB)
    until("its replica set", lambda: apps.list_namespaced_replica_set(where).items, 20)
    with refused(409, "the UID in the precondition (other) does not match"):
        apps.delete_namespaced_deployment("web", where, body=client.V1DeleteOptions(preconditions=client.V1Preconditions(uid="other")))
    apps.delete_namespaced_deployment("web", where, propagation_policy="Orphan")
    until("the orphan", lambda: all(not s.metadata.owner_references for s in apps.list_namespaced_replica_set(where).items), 20)
    equal(1, len(apps.list_namespaced_replica_set(where).items))
    answer = core.delete_namespaced_config_map(core.create_namespaced_config_map(where, {"metadata": {"name": "a"}}).metadata.name, where)
    equal(("Success", "a"), (answer["status"], answer["details"]["name"]))


def reviews():
    """Who one is, and what one may do."""
    spec = {"resourceAttributes": {"verb": "create", "resource": "pods", "namespace": "default"}}
    equal(True, client.AuthorizationV1Api().create_self_subject_access_review({"spec": spec}).status.allowed)
    assert "system:masters" in client.AuthenticationV1Api().create_self_subject_review({}).status.user_info.groups
    token = client.CoreV1Api().create_namespaced_service_account_token("default", "default", {"spec": {"expirationSeconds": 600}}).status.token
    as_account = client.ApiClient()
    as_account.configuration = client.Configuration.get_default_copy()
    as_account.configuration.cert_file = as_account.configuration.key_file = None
    as_account = client.ApiClient(as_account.configuration, "Authorization", "Bearer " + token)
    with refused(403, "system:serviceaccount:default:default"):
        client.CoreV1Api(as_account).list_namespaced_pod("default")


def discovers():
    """Versions, groups, and each kind by the dynamic client."""
    assert client.VersionApi().get_code().git_version.startswith("v1.")
    assert "apps" in [g.name for g in client.ApisApi().get_api_versions().groups]
    found = dynamic.DynamicClient(client.ApiClient())
    for version, kind in [("v1", "Pod"), ("apps/v1", "StatefulSet"), ("batch/v1", "CronJob"), ("networking.k8s.io/v1", "Ingress"), ("autoscaling/v2", "HorizontalPodAutoscaler")]:
        found.resources.get(api_version=version, kind=kind).get()


CHECKS = [
    ("objects of models and dictionaries", creates),
    ("objects of a file", from_files),
    ("lists in pages", pages),
    ("selectors", selects),
    ("patches of every type", patches),
    ("server-side apply by the dynamic client", applies),
    ("custom resources", custom_resources),
    ("deletion of collections", collections),
    ("deletion with propagation and preconditions", deletions),
    ("reviews and tokens", reviews),
    ("discovery", discovers),
]

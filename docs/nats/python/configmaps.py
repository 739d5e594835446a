"""Uses the cluster's API over NATS: python configmaps.py nats://127.0.0.1:4222 client@ci.nk ci

Needs nats-py, nkeys and msgpack.
"""
import asyncio
import json
import sys

import msgpack
import nats


class Api:
    """Requests of one user of one cluster."""

    def __init__(self, connection, user, cluster="default"):
        self.connection = connection
        self.start = f"ws.{cluster}.api.{user}"

    def subject(self, verb, resource, namespace, name, group):
        return ".".join([self.start, verb, group, resource, namespace, name])

    async def ask(self, verb, resource, namespace="=", name="=", body=b"", group="core", **headers):
        """One request; returns the document, or raises what the cluster says went wrong."""
        subject = self.subject(verb, resource, namespace, name, group)
        answer = await self.connection.request(subject, body, timeout=10, headers=headers or None)
        if "Nats-Service-Error-Code" in answer.headers:
            raise RuntimeError(f"{answer.headers['Nats-Service-Error-Code']}: {answer.headers['Nats-Service-Error']}")
        packed = answer.headers.get("Content-Type") == "application/msgpack"
        return msgpack.unpackb(answer.data) if packed else json.loads(answer.data)

    async def watch(self, resource, namespace="=", group="core", **headers):
        """The events of a watch, until it ends."""
        inbox = self.connection.new_inbox()
        events = await self.connection.subscribe(inbox)
        subject = self.subject("watch", resource, namespace, "=", group)
        await self.connection.publish(subject, b"", reply=inbox, headers=headers or None)
        async for message in events.messages:
            if message.reply:
                await self.connection.publish(message.reply, b"")
            if not message.data:
                break
            event = json.loads(message.data)
            if event["type"] != "HEARTBEAT":
                yield event
        await events.unsubscribe()


async def main(url, key, user):
    connection = await nats.connect(url, nkeys_seed=key, inbox_prefix=f"ws.default.inbox.client.{user}".encode())
    api = Api(connection, user)
    made = await api.ask("create", "configmaps", "default", body=json.dumps({"metadata": {"name": "python"}, "data": {"a": "b"}}).encode())
    print("created", made["metadata"]["name"])
    read = await api.ask("get", "configmaps", "default", "python", Accept="application/msgpack")
    print("read", read["data"])
    patched = await api.ask("patch", "configmaps", "default", "python", body=b'{"data":{"c":"d"}}')
    print("patched", patched["data"])

    async def delete_soon():
        await asyncio.sleep(0.5)
        await api.ask("delete", "configmaps", "default", "python")

    deletion = asyncio.create_task(delete_soon())
    async for event in api.watch("configmaps", "default", fieldSelector="metadata.name=python", timeoutSeconds="10"):
        print(event["type"], event["object"]["metadata"]["name"])
        if event["type"] == "DELETED":
            break
    await deletion
    try:
        await api.ask("get", "configmaps", "default", "python")
    except RuntimeError as error:
        print(error)
    await connection.close()


asyncio.run(main(*sys.argv[1:4]))

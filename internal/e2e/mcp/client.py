"""An MCP client of the Python SDK, with the SDK's own OAuth client. Usage: python3 client.py PACKAGES SETTINGS

See client.mjs for SETTINGS (without sdk), the commands and the events.
"""

import json
import sys
from urllib.parse import parse_qs, urlsplit

packages, settings = sys.argv[1], json.loads(sys.argv[2])
sys.path.insert(0, packages)

import anyio  # noqa: E402
import anyio.to_thread  # noqa: E402
import httpx2  # noqa: E402
from mcp import Client  # noqa: E402
from mcp.client.auth import OAuthClientProvider  # noqa: E402
from mcp.client.streamable_http import streamable_http_client  # noqa: E402
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata  # noqa: E402

REDIRECT_URL = f"http://127.0.0.1:{settings['redirectPort']}/cb"


def emit(**line):
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


class Storage:
    """Holds the tokens and the client, and prints what the SDK stores."""

    def __init__(self):
        self.tokens = None
        self.client = None
        if settings.get("clientId"):
            self.client = OAuthClientInformationFull(
                client_id=settings["clientId"], redirect_uris=[REDIRECT_URL], token_endpoint_auth_method="none"
            )

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens
        emit(event="tokens", tokens=tokens.model_dump(mode="json", exclude_none=True))

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client_info):
        self.client = client_info
        emit(event="client", client_id=client_info.client_id)


class Receiver:
    """Receives the authorization response at the redirect URI."""

    def __init__(self):
        self.responses, self.received = anyio.create_memory_object_stream(1)

    async def handle(self, stream):
        async with stream:
            head = b""
            while b"\r\n\r\n" not in head:
                try:
                    head += await stream.receive()
                except (anyio.EndOfStream, anyio.BrokenResourceError):  # a connection that was opened and not used
                    return
            target = urlsplit(head.split(b" ")[1].decode())
            found = target.path == "/cb"
            await stream.send(b"HTTP/1.1 %d -\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % (200 if found else 404))
        if found:
            await self.responses.send({name: values[0] for name, values in parse_qs(target.query).items()})

    async def authorize(self, url):
        emit(event="authorize", url=url)

    async def response(self):
        got = await self.received.receive()
        return AuthorizationCodeResult(code=got.get("code", ""), state=got.get("state"), iss=got.get("iss"))


async def observe(response):
    request = response.request
    if str(request.url) != settings["url"]:
        form = (await request.aread()).decode() or None
        emit(event="request", method=request.method, url=str(request.url), status=response.status_code, form=form)


async def notified(message):
    if getattr(message, "method", None) == "notifications/tools/list_changed":
        emit(event="list_changed")


class Driver:
    """Runs the commands. The SDK's client lives in the task of run_client, which its context managers need."""

    def __init__(self, group, receiver):
        self.group, self.receiver = group, receiver
        self.client = None
        self.ending, self.ended = anyio.Event(), anyio.Event()

    async def run_client(self, *, task_status):
        auth = OAuthClientProvider(
            server_url=settings["url"],
            client_metadata=OAuthClientMetadata(
                client_name="The test client of the Python SDK", redirect_uris=[REDIRECT_URL], token_endpoint_auth_method="none"
            ),
            storage=Storage(),
            redirect_handler=self.receiver.authorize,
            callback_handler=self.receiver.response,
            client_metadata_url=settings.get("clientMetadataUrl"),
        )
        hooks = {"response": [observe]}
        async with httpx2.AsyncClient(auth=auth, timeout=httpx2.Timeout(30, read=120), event_hooks=hooks) as http:
            transport = streamable_http_client(settings["url"], http_client=http)
            async with Client(transport, message_handler=notified) as self.client:
                task_status.started()
                await self.ending.wait()
        self.ended.set()

    async def connect(self, _):
        await self.group.start(self.run_client)
        return {"protocol": self.client.protocol_version}

    async def tools(self, _):
        return [tool.name for tool in (await self.client.list_tools()).tools]

    async def call(self, command):
        async def progressed(progress, _total, _message):
            emit(event="progress", progress=progress)

        result = await self.client.call_tool(command["tool"], command.get("arguments") or {}, progress_callback=progressed)
        text = result.content[0].text
        if result.is_error:
            raise RuntimeError(text)
        return text

    async def end(self, _):
        self.ending.set()
        await self.ended.wait()

    async def answer(self, line):
        command = json.loads(line)
        try:
            emit(id=command["id"], result=await getattr(self, command["do"])(command))
        except Exception as e:  # the test reads it
            emit(id=command["id"], error=f"{type(e).__name__}: {e}")


async def main():
    receiver = Receiver()
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=settings["redirectPort"])
    async with anyio.create_task_group() as group:
        group.start_soon(listener.serve, receiver.handle)
        driver = Driver(group, receiver)
        while line := await anyio.to_thread.run_sync(sys.stdin.readline):
            group.start_soon(driver.answer, line)
        group.cancel_scope.cancel()


anyio.run(main)

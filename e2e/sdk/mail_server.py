"""A mail server (aiosmtpd) for the tests: keeps each mail that it accepts as a file.

Usage: mail_server.py FOLDER OPTIONS, where OPTIONS is a JSON object:
  port           port to listen on; 0 means any free one
  cert, key      PEM files; with them STARTTLS is offered
  require_tls    nothing is accepted before STARTTLS
  tls            TLS from the first byte instead of STARTTLS
  user, password credentials that are required

A recipient beginning with "unknown" is refused for good, one beginning with "later" once for now. Each accepted mail
becomes NUMBER.json: envelope, whether it came encrypted, and the message with its parts as Python's own parser reads
them. The port is printed once it listens.
"""

import base64
import email
import email.policy
import json
import os
import ssl
import sys
import time

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, SMTP

folder, options = sys.argv[1], json.loads(sys.argv[2])
seen_later = set()
count = len(os.listdir(folder))


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, rcpt_options):
        if address.startswith("unknown"):
            return "550 5.1.1 no such mailbox"
        if address.startswith("later") and address not in seen_later:
            seen_later.add(address)
            return "451 4.7.1 greylisted, try again"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        global count
        count += 1
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        parts = [
            {
                "type": part.get_content_type(),
                "name": part.get_filename(),
                "content": base64.b64encode(part.get_payload(decode=True) or b"").decode(),
            }
            for part in message.walk()
            if not part.is_multipart()
        ]
        record = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "encrypted": session.ssl is not None or options.get("tls", False),
            "authenticated": session.authenticated,
            "headers": [[name, str(value)] for name, value in message.items()],
            "parts": parts,
        }
        path = os.path.join(folder, "%06d.json" % count)
        with open(path + ".part", "w") as file:
            json.dump(record, file)
        os.rename(path + ".part", path)
        return "250 OK"


def authenticate(server, session, envelope, mechanism, data):
    good = (data.login.decode(), data.password.decode()) == (options["user"], options["password"])
    return AuthResult(success=good, handled=False)


context = None
if "cert" in options:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(options["cert"], options["key"])


class Server(Controller):
    def factory(self):
        wants_user = "user" in options
        return SMTP(
            self.handler,
            tls_context=None if options.get("tls") else context,
            require_starttls=options.get("require_tls", False),
            authenticator=authenticate if wants_user else None,
            auth_required=wants_user,
            # Over TLS from the first byte, aiosmtpd does not know that it is encrypted.
            auth_require_tls=context is not None and not options.get("tls"),
            enable_SMTPUTF8=False,
        )


server = Server(
    Handler(),
    hostname="127.0.0.1",
    port=options["port"],
    ssl_context=context if options.get("tls") else None,
)
if options["port"] == 0:
    # The controller connects to its own port once, so it must know it.
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        server.port = free.getsockname()[1]
server.start()
print(server.port, flush=True)
while True:
    time.sleep(60)

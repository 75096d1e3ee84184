// Sends texts with Twilio's Node library, against another base URL, and follows them to their final status.
//
// Arguments: address of the server, account, token. Prints one JSON object that says what came back.

const twilio = require("twilio");

const [base, account, token] = process.argv.slice(2);

// The library's own client, sent elsewhere.
class Local extends twilio.RequestClient {
  request(options) {
    const uri = options.uri.replace("https://api.twilio.com", base);
    return super.request({ ...options, uri });
  }
}

const client = twilio(account, token, { httpClient: new Local() });

// What the library shows of a message that has reached its final status; fails after ten seconds.
async function follow(to, body, final) {
  const sent = await client.messages.create({ to, from: "+4930123456", body });
  if (sent.status !== "queued" || sent.errorCode !== null) throw new Error(JSON.stringify(sent));
  for (const end = Date.now() + 10_000; Date.now() < end; ) {
    const found = await client.messages(sent.sid).fetch();
    if (found.status === final) {
      const isNew = found.dateSent !== null && Math.abs(Date.now() - found.dateSent.getTime()) < 60_000;
      return [found.status, found.numSegments, found.direction, isNew, found.errorCode];
    }
    if (!["queued", "sending", "sent"].includes(found.status)) throw new Error(found.status);
    await new Promise((done) => setTimeout(done, 50));
  }
  throw new Error(`${to}: not ${final}`);
}

async function main() {
  const seen = {
    short: await follow("+4915112345671", "hello", "delivered"),
    long: await follow("+4915112345672", "a".repeat(161), "delivered"),
    unicode: await follow("+4915112345673", "ж".repeat(71), "delivered"),
    lost: await follow("+4922112345674", "hello", "undelivered"),
  };
  const list = await client.messages.list({ to: "+4915112345672" });
  seen.listed = list.map((one) => one.status);
  console.log(JSON.stringify(seen));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});

// What a program with Twilio's Node library does, against another base URL.
//
// Arguments: address of the server, account, token, document to run, document to run next.
// Prints one JSON object that says what came back.

const twilio = require("twilio");

const [base, account, token, url, next] = process.argv.slice(2);
let pages = 0;

// The library's own client, sent elsewhere.
class Local extends twilio.RequestClient {
  request(options) {
    if (options.uri.includes("PageToken")) pages += 1;
    const uri = options.uri.replace("https://api.twilio.com", base);
    return super.request({ ...options, uri });
  }
}

const client = twilio(account, token, { httpClient: new Local() });

// Asks until there is an answer that counts; fails after ten seconds.
async function until(what, ask) {
  for (const end = Date.now() + 10_000; Date.now() < end; ) {
    const found = await ask();
    if (found) return found;
    await new Promise((done) => setTimeout(done, 50));
  }
  throw new Error(`it did not happen: ${what}`);
}

const inState = (call, wanted) =>
  until(wanted, async () => {
    const found = await client.calls(call).fetch();
    return found.status === wanted && found;
  });

const failure = (promise) => promise.then(() => null, (error) => error);

async function main() {
  const make = () =>
    client.calls.create({
      to: "client:ann",
      from: "+15550100",
      url,
      method: "GET",
      statusCallbackEvent: ["answered", "completed"],
    });
  const made = [await make(), await make(), await make()];
  const first = await inState(made[0].sid, "in-progress");
  const listed = await client.calls.list({ pageSize: 2 });
  const pagesOfList = pages;
  const changed = await client.calls(first.sid).update({ url: next, method: "GET" });
  const children = await until("a second party answers", async () => {
    const found = await client.calls.list({ parentCallSid: first.sid, status: "in-progress" });
    return found.length > 0 && found;
  });
  // Recorded beside the recording of its Dial.
  const recorded = await client.calls(first.sid).recordings.create({ recordingChannels: "dual" });
  const ofFirst = client.calls(first.sid).recordings(recorded.sid);
  const live = [
    recorded.status,
    (await ofFirst.update({ status: "paused", pauseBehavior: "silence" })).status,
    (await ofFirst.update({ status: "in-progress" })).status,
    (await ofFirst.update({ status: "stopped" })).status,
  ];
  // The phone takes as many calls as it likes and may have ended the others itself.
  const ended = await client.calls(first.sid).update({ status: "completed" });
  const again = await failure(client.calls(first.sid).update({ status: "completed" }));
  const sent = await client.messages.create({ to: "client:bob", from: "+15550100", body: "hi" });
  const text = await until("the text is sent", async () => {
    const found = await client.messages(sent.sid).fetch();
    return found.status === "sent" && found;
  });
  const missing = await failure(client.calls("CA" + "0".repeat(32)).fetch());
  const refused = await failure(
    client.calls.create({ to: "client:ann", from: "+15550100", url, callReason: "hello" }),
  );
  const recordings = await until("a recording", async () => {
    const found = await client.recordings.list({ callSid: first.sid });
    return found.length === 2 && found.every((one) => one.status === "completed") && found;
  });
  const messages = await client.messages.list({ to: "nobody" });
  const created = await client.applications.create({
    voiceUrl: url,
    voiceMethod: "GET",
    smsUrl: next,
  });
  await client.applications(created.sid).update({ voiceFallbackUrl: next });
  const application = await client.applications(created.sid).fetch();
  const madeKey = await client.newKeys.create({ friendlyName: "program" });
  const withKey = twilio(madeKey.sid, madeKey.secret, {
    accountSid: account,
    httpClient: new Local(),
  });
  const key = [
    (await withKey.calls(first.sid).fetch()).sid,
    (await client.keys(madeKey.sid).update({ friendlyName: "renamed" })).friendlyName,
    (await client.keys.list({ limit: 20 })).map((found) => found.sid === madeKey.sid),
    await client.keys(madeKey.sid).remove(),
  ];
  const stale = await failure(withKey.calls(first.sid).fetch());
  key.push(stale && [stale.status, stale.code]);
  console.log(
    JSON.stringify({
      account: (await client.api.v2010.accounts(account).fetch()).sid,
      made: made.map((call) => call.sid),
      listed: listed.map((call) => call.sid),
      pages: pagesOfList,
      changed: changed.sid,
      ended: [ended.sid, ended.status, ended.endTime >= ended.startTime],
      again: again && [again.status, again.code],
      sent: [text.to, text.body, text.numSegments, text.errorCode],
      children: children.map((call) => call.direction),
      missing: missing && [missing.status, missing.code],
      refused: refused && refused.message,
      messages: messages.map((message) => [message.body, message.direction]),
      live,
      recordings: recordings.map((recording) => recording.callSid),
      application: [
        application.voiceUrl === url,
        application.voiceMethod,
        application.voiceFallbackUrl === next,
        application.smsUrl === next,
      ],
      key,
      deleted: await client.recordings(recordings[0].sid).remove(),
    }),
  );
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});

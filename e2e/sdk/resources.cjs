// Walks through every common resource with Twilio's Node library, against another base URL.
//
// Arguments: address of the server, account, token. The account creates a test account, in which everything else happens.
// Prints one JSON object: the requests that were made, and the number of events whose signatures were checked.

const assert = require("node:assert");
const http = require("node:http");
const twilio = require("twilio");

const [base, account, token] = process.argv.slice(2);
const requests = new Set();
let pages = 0;

// The library's own client, sent elsewhere.
class Local extends twilio.RequestClient {
  request(options) {
    requests.add(`${options.method.toUpperCase()} ${new URL(options.uri).pathname}`);
    if (options.uri.includes("PageToken")) pages += 1;
    const uri = options.uri.replace("https://api.twilio.com", base);
    return super.request({ ...options, uri });
  }
}

// The first answer that counts; fails after 15 seconds.
async function until(what, ask) {
  for (const end = Date.now() + 15_000; Date.now() < end; ) {
    const found = await ask();
    if (found) return found;
    await new Promise((done) => setTimeout(done, 50));
  }
  throw new Error(`it did not happen: ${what}`);
}

// Status and number of a refusal.
const refused = (promise) => promise.then(() => null, (error) => [error.status, error.code]);

// A list that takes several pages has every one of its rows once.
async function listed(resource, wanted, filters = {}) {
  const before = pages;
  const found = (await resource.list({ ...filters, pageSize: 2 })).map((row) => row.sid);
  assert.equal(found.length, new Set(found).size);
  for (const sid of wanted) assert(found.includes(sid), `${sid} is not in ${found}`);
  assert(pages >= before + Math.floor((wanted.length + 1) / 2) - 1, "it was one page");
  const first = await resource.list({ ...filters, limit: 1 });
  assert.deepEqual(first.map((row) => row.sid), found.slice(0, 1));
}

const bodyOf = ({ body }) => (typeof body === "string" ? JSON.parse(body) : body);
const times = (count, make) => Promise.all(Array.from({ length: count }, (_, n) => make(n)));
const sids = (rows) => rows.map((row) => row.sid);

async function main() {
  // The account that everything happens in.
  const top = twilio(account, token, { httpClient: new Local() });
  const made = await top.request({
    method: "post",
    uri: "https://api.twilio.com/2010-04-01/Accounts.json",
    data: { FriendlyName: "tests", Type: "Test" },
  });
  assert.equal(made.statusCode, 201);
  const { sid, auth_token: secret } = bodyOf(made);
  const client = twilio(sid, secret, { httpClient: new Local() });

  // The application: it runs no document, and checks the signature of what it is sent.
  const events = [];
  let app;
  const server = http.createServer((request, response) => {
    let body = "";
    request.on("data", (part) => (body += part));
    request.on("end", () => {
      const params = Object.fromEntries(new URLSearchParams(body));
      const signature = request.headers["x-twilio-signature"];
      const url = app + request.url;
      const genuine = twilio.validateRequest(secret, signature, url, params);
      const forged = twilio.validateRequest(secret, signature, url, { ...params, AccountSid: "AC0" });
      events.push({ path: request.url, params, genuine: genuine && !forged });
      response.end();
    });
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  app = `http://127.0.0.1:${server.address().port}`;
  const statuses = (path) =>
    events.filter((event) => event.path === path).map((event) => event.params.CallStatus);

  // Accounts
  const accounts = client.api.v2010.accounts;
  const children = await times(3, (n) => accounts.create({ friendlyName: `branch ${n}` }));
  assert(children.every((child) => child.type === "Test"));
  await listed(accounts, sids(children));
  const child = accounts(children[0].sid);
  assert.equal((await child.fetch()).friendlyName, "branch 0");
  assert.equal((await child.update({ friendlyName: "north" })).friendlyName, "north");
  assert.equal((await child.update({ status: "closed" })).status, "closed");

  // Keys
  const keys = await times(3, (n) => client.newKeys.create({ friendlyName: `key ${n}` }));
  await listed(client.keys, sids(keys));
  const withKey = twilio(keys[0].sid, keys[0].secret, { accountSid: sid, httpClient: new Local() });
  assert.deepEqual(await withKey.calls.list(), []);
  assert.equal((await client.keys(keys[0].sid).fetch()).friendlyName, "key 0");
  assert.equal((await client.keys(keys[0].sid).update({ friendlyName: "one" })).friendlyName, "one");
  assert(await client.keys(keys[0].sid).remove());
  assert.deepEqual(await refused(withKey.calls("CA" + "0".repeat(32)).fetch()), [401, 20003]);

  // Applications
  const applications = await times(3, (n) =>
    client.applications.create({ friendlyName: `menu ${n}`, voiceUrl: `${app}/menu` }),
  );
  await listed(client.applications, sids(applications));
  const application = client.applications(applications[0].sid);
  assert.equal((await application.fetch()).voiceUrl, `${app}/menu`);
  assert.equal((await application.update({ voiceMethod: "GET" })).voiceMethod, "GET");
  assert(await application.remove());
  assert.deepEqual(await refused(application.fetch()), [404, 20404]);

  // Numbers: for sale, bought, and of others
  const countries = await client.availablePhoneNumbers.list();
  assert.deepEqual(countries.map((country) => country.countryCode), ["US"]);
  const us = client.availablePhoneNumbers("US");
  assert.equal((await us.fetch()).countryCode, "US");
  const free = await us.local.list({ areaCode: 500, limit: 4 });
  assert.equal(free.length, 4);
  assert.deepEqual([await us.tollFree.list(), await us.mobile.list()], [[], []]);
  const own = client.incomingPhoneNumbers;
  const numbers = [];
  for (const offer of free.slice(0, 3)) {
    numbers.push(await own.create({ phoneNumber: offer.phoneNumber }));
  }
  numbers.push(await own.local.create({ phoneNumber: free[3].phoneNumber }));
  numbers.push(await own.create({ areaCode: "500" }));
  numbers.push(await own.create({ phoneNumber: "+15005550006" }));
  assert.deepEqual(await refused(own.create({ phoneNumber: "+15005550000" })), [400, 21422]);
  assert.deepEqual(await refused(own.create({ phoneNumber: "+15005550001" })), [400, 21421]);
  assert.deepEqual(await refused(own.create({ areaCode: "533" })), [400, 21422]);
  for (const kind of [own.tollFree, own.mobile]) {
    assert.deepEqual(await refused(kind.create({ phoneNumber: "+15005550000" })), [400, 21422]);
    await kind.list();
  }
  await own.local.list();
  await listed(own, sids(numbers));
  const number = own(numbers[0].sid);
  const changed = await number.update({ friendlyName: "desk", voiceUrl: `${app}/menu` });
  assert.equal(changed.friendlyName, "desk");
  assert.equal((await number.fetch()).voiceUrl, `${app}/menu`);
  assert(await number.remove());

  // Caller IDs: a call asks the owner of the number for a code.
  const validation = { phoneNumber: "+15005550006", friendlyName: "mine" };
  assert((await client.validationRequests.create(validation)).validationCode);
  // Without a validation call, at the other base.
  const ids = await times(3, async (n) => {
    const uri = `https://api.twilio.com/restcomm/2012-04-24/Accounts/${sid}/OutgoingCallerIds.json`;
    const data = { PhoneNumber: `+1202555010${n}` };
    return bodyOf(await client.request({ method: "post", uri, data }));
  });
  await listed(client.outgoingCallerIds, sids(ids));
  const callerId = client.outgoingCallerIds(ids[0].sid);
  assert.equal((await callerId.fetch()).phoneNumber, "+12025550100");
  assert.equal((await callerId.update({ friendlyName: "desk" })).friendlyName, "desk");
  assert(await callerId.remove());

  // Calls: each number of test mode does what it says.
  const call = (to, rest) => client.calls.create({ to, from: "+15005550006", ...rest });
  const stateOf = async (one) => (await client.calls(one).fetch()).status;
  const talk = "<Response><Pause length='60'/></Response>";
  const short = "<Response><Pause length='1'/></Response>";
  const ends = {
    "+15005550101": "busy",
    "+15005550102": "no-answer",
    "+15005550103": "failed",
    "+15005550104": "failed",
    "+15005550110": "completed",
    "+15005550201": "completed",
    "+15005550300": "completed",
  };
  const calls = {};
  for (const to of Object.keys(ends)) {
    const started = await call(to, {
      twiml: to.endsWith("0300") ? short : talk,
      timeout: 2,
      statusCallback: `${app}/${to.slice(1)}`,
      statusCallbackEvent: ["initiated", "ringing", "answered", "completed"],
    });
    calls[to] = started.sid;
  }
  const machine = await call("+15005550106", {
    twiml: "<Response/>",
    machineDetection: "DetectMessageEnd",
  });
  const invalid = { "0001": 21217, "0002": 21214, "0003": 21215, "0004": 21216 };
  for (const [last, code] of Object.entries(invalid)) {
    assert.deepEqual(await refused(call(`+1500555${last}`, { twiml: talk })), [400, code], last);
  }
  for (const [to, end] of Object.entries(ends)) {
    await until(`${to} is ${end}`, async () => (await stateOf(calls[to])) === end);
    await until(`the last callback of ${to}`, () => statuses(`/${to.slice(1)}`).includes(end));
  }
  assert.deepEqual(statuses("/15005550201"), ["initiated", "ringing", "in-progress", "completed"]);
  assert.deepEqual(statuses("/15005550101"), ["initiated", "ringing", "busy"]);
  await until("machine", async () => (await stateOf(machine.sid)) === "completed");
  assert.equal((await client.calls(machine.sid).fetch()).answeredBy, "machine_end_beep");
  await listed(client.calls, Object.values(calls));
  assert.equal((await client.calls.list({ status: "busy" }))[0].sid, calls["+15005550101"]);
  const long = (await call("+15005550006", { twiml: talk })).sid;
  await until("answer", async () => (await stateOf(long)) === "in-progress");
  assert(await client.calls(long).events.list());

  // Recordings, of a live call and as a resource
  const ofCall = client.calls(long).recordings;
  const recordings = [await ofCall.create({ recordingChannels: "dual" })];
  assert.equal((await ofCall(recordings[0].sid).update({ status: "paused" })).status, "paused");
  const going = await ofCall(recordings[0].sid).update({ status: "in-progress" });
  assert.equal(going.status, "in-progress");
  await ofCall(recordings[0].sid).update({ status: "stopped" });
  for (let n = 0; n < 3; n += 1) {
    recordings.push(await ofCall.create());
    await ofCall("Twilio.CURRENT").update({ status: "stopped" });
  }
  const stored = await until("recordings", async () => {
    const found = await ofCall.list({ pageSize: 2 });
    return found.length === 4 && found.every((one) => one.status === "completed") && found;
  });
  await listed(client.recordings, sids(stored));
  assert.equal((await client.recordings(stored[0].sid).fetch()).callSid, long);
  assert.deepEqual(await client.recordings(stored[0].sid).transcriptions.list(), []);
  assert.equal((await ofCall(recordings[0].sid).fetch()).sid, recordings[0].sid);
  assert(await ofCall(recordings[0].sid).remove());
  assert(await client.recordings(recordings[1].sid).remove());
  assert.deepEqual(await refused(client.recordings(recordings[1].sid).fetch()), [404, 20404]);

  // Transcriptions: none are made, so there is none to read.
  assert.deepEqual(await client.transcriptions.list(), []);
  const missing = client.transcriptions("TR" + "0".repeat(32));
  assert.deepEqual(await refused(missing.fetch()), [404, 20404]);
  assert.deepEqual(await refused(missing.remove()), [404, 20404]);

  // A change of a live call, and notifications about its document
  const zebras = "<Response><Zebra/><Zebra/><Zebra/></Response>";
  assert.equal((await client.calls(long).update({ twiml: zebras })).sid, long);
  await until("end", async () => (await stateOf(long)) === "completed");
  const notes = await until("notifications", async () => {
    const found = await client.calls(long).notifications.list();
    return found.length > 0 && found;
  });
  assert.equal((await client.notifications(notes[0].sid).fetch()).callSid, long);
  assert(sids(await client.notifications.list({ pageSize: 2 })).includes(notes[0].sid));

  // Conferences and participants
  const roomOf = "<Response><Dial><Conference record='record-from-start'>room</Conference></Dial></Response>";
  // A conference is listed from the second member on.
  await call("+15005550006", { twiml: roomOf });
  await call("+15005550006", { twiml: roomOf });
  const room = await until("conference", async () => (await client.conferences.list({ friendlyName: "room", limit: 1 }))[0]);
  const conference = client.conferences(room.sid);
  const members = () => conference.participants.list({ pageSize: 2 });
  await until("member", async () => (await members()).length === 2);
  const invited = [];
  for (const label of ["guest 0", "guest 1"]) {
    const guest = { to: "+15005550006", from: "+15005550006", label };
    invited.push(await conference.participants.create(guest));
  }
  await until("all are there", async () => (await members()).length === 4);
  const guest = conference.participants(invited[0].callSid);
  assert.equal((await guest.fetch()).label, "guest 0");
  assert.equal((await guest.update({ muted: true })).muted, true);
  assert(await guest.remove());
  const taped = await until("recording of the conference", async () => (await conference.recordings.list())[0]);
  const tape = conference.recordings(taped.sid);
  assert.equal((await tape.fetch()).conferenceSid, room.sid);
  assert.equal((await tape.update({ status: "paused" })).status, "paused");
  assert.equal((await tape.update({ status: "in-progress" })).status, "in-progress");
  assert.equal((await conference.fetch()).status, "in-progress");
  assert.equal((await conference.update({ status: "completed" })).status, "completed");
  // Parties of test mode are silent: the recording is empty, and so is not kept.
  await until("closed recording", async () => (await refused(tape.fetch()))?.[0] === 404);
  assert.deepEqual(await refused(tape.remove()), [404, 20404]);

  // Queues and members
  const queues = await times(3, (n) => client.queues.create({ friendlyName: `line ${n}`, maxSize: 5 }));
  await listed(client.queues, sids(queues));
  const queue = client.queues(queues[0].sid);
  assert.equal((await queue.update({ maxSize: 20 })).maxSize, 20);
  const waits = "<Response><Enqueue>line 0</Enqueue></Response>";
  const waiting = sids(await times(3, () => call("+15005550006", { twiml: waits })));
  await until("members", async () => (await queue.members.list({ pageSize: 2 })).length === 3);
  assert.equal((await queue.fetch()).currentSize, 3);
  const front = await queue.members("Front").fetch();
  assert(waiting.includes(front.callSid));
  const taken = await queue.members(front.callSid).update({ url: `${app}/away` });
  assert.equal(taken.callSid, front.callSid);
  assert.deepEqual(await refused(queue.remove()), [409, 21240]);
  for (const one of waiting) await refused(client.calls(one).update({ status: "completed" }));
  await until("empty", async () => (await queue.fetch()).currentSize === 0);
  assert(await queue.remove());

  // Text messages
  const parties = ["+15005550006", "+15005550101", "+12025550123"];
  const texts = await times(3, (n) =>
    client.messages.create({
      to: parties[n],
      from: "+15005550006",
      body: `hello ${n}`,
      statusCallback: `${app}/text`,
    }),
  );
  const textState = async (n) => (await client.messages(texts[n].sid).fetch()).status;
  await until("sent", async () => (await textState(0)) === "sent");
  await until("failed", async () => (await textState(1)) === "failed");
  await listed(client.messages, sids(texts));
  assert.equal((await client.messages.list({ to: parties[0] }))[0].body, "hello 0");
  const soon = new Date(Date.now() + 3600e3);
  const plan = { to: parties[0], from: parties[0], body: "later", scheduleType: "fixed", sendAt: soon };
  const planned = await client.messages.create({ ...plan, validityPeriod: 60 });
  assert.equal(planned.status, "scheduled");
  const cancel = () => client.messages(planned.sid).update({ status: "canceled" });
  assert.equal((await cancel()).status, "canceled");
  assert.deepEqual(await refused(cancel()), [409, 30409]);
  const now = client.messages.create({ ...plan, sendAt: new Date() });
  assert.deepEqual(await refused(now), [400, 35114]);
  assert(await client.messages(planned.sid).remove());
  const gone = client.messages(texts[1].sid);
  assert.equal((await gone.update({ body: "" })).body, "");
  assert(await gone.remove());
  assert.deepEqual(await refused(gone.fetch()), [404, 20404]);

  // Usage
  const usage = client.usage.records;
  const records = await usage.list({ pageSize: 2 });
  const ofCalls = records.find((record) => record.category === "calls");
  assert(Number(ofCalls.count) > Object.keys(ends).length, ofCalls.count);
  const periods = [
    usage.today,
    usage.yesterday,
    usage.thisMonth,
    usage.lastMonth,
    usage.daily,
    usage.monthly,
    usage.yearly,
    usage.allTime,
  ];
  const lists = await Promise.all(periods.map((period) => period.list({ limit: 5 })));
  assert(lists.filter((list) => list.length > 0).length >= 4);

  // Usage triggers
  const { triggers } = client.usage;
  const limit = await triggers.create({
    usageCategory: "calls",
    triggerValue: "+100000",
    callbackUrl: `${app}/limit`,
    recurring: "monthly",
  });
  assert(Number(limit.triggerValue) > 100000, limit.triggerValue);
  assert.equal((await triggers(limit.sid).fetch()).recurring, "monthly");
  assert.equal((await triggers(limit.sid).update({ friendlyName: "limit" })).friendlyName, "limit");
  assert.deepEqual((await triggers.list({ recurring: "monthly" })).map((one) => one.sid), [limit.sid]);
  assert(await triggers(limit.sid).remove());

  // Everything that reached the application came from this server.
  const forged = events.filter((event) => !event.genuine);
  assert.deepEqual(forged, []);
  server.close();
  const report = { account: sid, requests: [...requests].sort(), signed: events.length };
  console.log(JSON.stringify(report));
  process.exit(0);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});

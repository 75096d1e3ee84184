// Verifies numbers with Twilio's Node library, against another base URL.
//
// Arguments: address of the server, account, token. The text messages go to a provider that this program plays.
// Prints one JSON object that says what came back.

const http = require("node:http");
const twilio = require("twilio");

const [base, account, token] = process.argv.slice(2);

// The library's own client, sent elsewhere.
class Local extends twilio.RequestClient {
  request(options) {
    const uri = options.uri.replace("https://verify.twilio.com", base);
    return super.request({ ...options, uri });
  }
}

// A request that the library does not know: GET, or POST with a form.
async function ask(path, form) {
  const credentials = Buffer.from(`${account}:${token}`).toString("base64");
  const headers = { Authorization: `Basic ${credentials}` };
  const options = form ? { method: "POST", headers, body: new URLSearchParams(form) } : { headers };
  const answer = await fetch(base + path, options);
  if (!answer.ok) throw new Error(await answer.text());
  return answer.json();
}

// Asks until there is an answer that counts; fails after 15 seconds.
async function until(what, probe) {
  for (const end = Date.now() + 15_000; Date.now() < end; ) {
    const found = await probe();
    if (found) return found;
    await new Promise((done) => setTimeout(done, 50));
  }
  throw new Error(`it did not happen: ${what}`);
}

// Status and number of a refusal.
const refused = (promise) => promise.then(() => null, (error) => [error.status, error.code]);

const texts = {};

async function main() {
  const provider = http.createServer((request, response) => {
    let body = "";
    request.on("data", (part) => (body += part));
    request.on("end", () => {
      const text = JSON.parse(body);
      texts[text.to] = text.body;
      response.end(JSON.stringify({ id: text.message }));
    });
  });
  await new Promise((done) => provider.listen(0, "127.0.0.1", done));
  const url = `http://127.0.0.1:${provider.address().port}/`;
  const routes = `/restcomm/2012-04-24/Accounts/${account}/MessageRoutes`;
  const route = await ask(`${routes}.json`, { Kind: "http", Url: url, Secret: "whsec" });
  await until("the route", async () => (await ask(`${routes}/${route.sid}.json`)).up);

  const verify = twilio(account, token, { httpClient: new Local() }).verify.v2;
  const made = await verify.services.create({ friendlyName: "Shop", codeLength: 7 });
  const service = verify.services(made.sid);
  await ask(`/v2/Services/${made.sid}`, { From: "+15550001", ResendSeconds: 0 });
  const limit = await service.rateLimits.create({ uniqueName: "end_user_ip", description: "addresses" });
  await service.rateLimits(limit.sid).buckets.create({ max: 2, interval: 3600 });

  const [person, other] = ["+4915112345678", "+4915112345679"];
  const seen = { service: [made.friendlyName, (await service.fetch()).codeLength] };
  const rateLimits = { end_user_ip: "192.0.2.1" };
  const send = (to) => service.verifications.create({ to, channel: "sms", rateLimits });
  const check = (code) => service.verificationChecks.create({ to: person, code });
  const sent = await send(person);
  const [code] = (await until("the text", () => texts[person])).match(/\d{7}/);
  seen.sent = [sent.status, sent.to, sent.channel, sent.valid];
  const wrong = await check(code !== "0000000" ? "0000000" : "1111111");
  const right = await check(code);
  seen.checks = [wrong.status, wrong.valid, right.status, right.valid];
  seen.fetched = (await service.verifications(sent.sid).fetch()).status;
  seen.again = await refused(check(code));
  const second = await send(other);
  seen.canceled = (await service.verifications(second.sid).update({ status: "canceled" })).status;
  seen.limited = await refused(send(other));
  seen.attempts = (await verify.verificationAttempts.list()).map((one) => one.conversionStatus).sort();
  const summary = await verify.verificationAttemptsSummary().fetch({ verifyServiceSid: made.sid });
  seen.summary = [summary.totalAttempts, summary.totalConverted];
  seen.limits = (await service.rateLimits.list()).map((one) => one.uniqueName);
  seen.listed = (await verify.services.list()).map((one) => one.sid === made.sid);
  seen.deleted = await service.remove();
  seen.missing = await refused(service.fetch());
  console.log(JSON.stringify(seen));
  provider.close();
  process.exit(0);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});

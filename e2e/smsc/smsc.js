// An SMSC for the tests, made of node-smpp. What it does with a message depends on its recipient:
//
//   …58  throttled at first, then accepted      …0b  see 4900: refused as an invalid recipient
//   4900…  refused (invalid recipient)           4911…  the connection is dropped, once, without an answer
//   4922…  accepted, then a receipt UNDELIV      4933…  accepted, no receipt
//   others accepted, then a receipt DELIVRD
//
// Message ids are hexadecimal in answers and decimal in receipts. Writes a JSON line per event to the file in
// its first argument; reads lines of JSON from the file in its second one: texts for us to receive.
const fs = require("fs");
const smpp = require("smpp");
const [log, orders] = process.argv.slice(2);
const say = (event) => fs.appendFileSync(log, JSON.stringify(event) + "\n");
let next = 0xabc000;
const throttled = new Set();
let dropped = false;
const sessions = new Set();

const server = smpp.createServer((session) => {
  sessions.add(session);
  session.on("error", () => {});
  session.on("close", () => sessions.delete(session));
  session.on("bind_transceiver", (pdu) => {
    if (pdu.password !== "secret") {
      session.send(pdu.response({ command_status: smpp.ESME_RBINDFAIL }));
      return session.close();
    }
    say({ event: "bind", id: pdu.system_id });
    session.send(pdu.response());
  });
  session.on("enquire_link", (pdu) => session.send(pdu.response()));
  session.on("unbind", (pdu) => { say({ event: "unbind" }); session.send(pdu.response()); session.close(); });
  session.on("submit_sm", (pdu) => {
    const to = pdu.destination_addr;
    const refuse = (command_status) => session.send(pdu.response({ command_status }));
    if (to.endsWith("58") && !throttled.has(to)) {
      throttled.add(to);
      say({ event: "throttled", to });
      return refuse(smpp.ESME_RTHROTTLED);
    }
    if (to.startsWith("4900")) return refuse(smpp.ESME_RINVDSTADR);
    const payload = pdu.message_payload || pdu.short_message;
    const udh = payload.udh ? payload.udh.map((element) => element.toString("hex")) : [];
    const id = next++;
    say({
      event: "submit", to, from: pdu.source_addr, ton: pdu.source_addr_ton, coding: pdu.data_coding,
      text: payload.message.toString(), udh, registered: pdu.registered_delivery, id,
    });
    if (to.startsWith("4911") && !dropped) {
      dropped = true;
      return session.destroy();
    }
    session.send(pdu.response({ message_id: id.toString(16).toUpperCase() }));
    if (to.startsWith("4933") || !pdu.registered_delivery) return;
    const [stat, err] = to.startsWith("4922") ? ["UNDELIV", "001"] : ["DELIVRD", "000"];
    const receipt = `id:${String(id).padStart(10, "0")} sub:001 dlvrd:001 submit date:2611301200 ` +
      `done date:2611301201 stat:${stat} err:${err} text:x`;
    session.deliver_sm({
      source_addr: to, destination_addr: pdu.source_addr, esm_class: 4, short_message: receipt,
    });
  });
});
server.on("error", () => {});
server.listen(0, "127.0.0.1", () => say({ event: "ready", port: server.address().port }));

// Texts for us: {from, to, text}, or {from, to, parts: [...]}.
let done = 0;
setInterval(() => {
  const lines = fs.existsSync(orders) ? fs.readFileSync(orders, "utf8").split("\n").filter(Boolean) : [];
  for (const line of lines.slice(done)) {
    done += 1;
    const order = JSON.parse(line);
    const [session] = sessions;
    const parts = order.parts || [order.text];
    parts.forEach((message, at) => {
      const udh = parts.length > 1 ? Buffer.from([5, 0, 3, 7, parts.length, at + 1]) : undefined;
      session.deliver_sm({
        source_addr: order.from, destination_addr: order.to, esm_class: udh ? 0x40 : 0,
        data_coding: order.coding || 0, short_message: udh ? { udh, message } : message,
      }, (answer) => say({ event: "answered", to: order.to, status: answer.command_status }));
    });
  }
}, 50);
